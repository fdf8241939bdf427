//! The present numbers as JSON: `GET /now`. Counts count from the start, so that a reader can compute rates over any time.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json, json};

use crate::metrics::{BOUNDS, Metrics};
use crate::timeline::Source;

pub(super) fn now(metrics: &Metrics) -> Json {
    let now = metrics.snapshot();
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let answers = |counts: &[u64]| {
        let each = Source::ALL.iter().zip(counts);
        let each = each.map(|(source, count)| (source.as_str().to_owned(), Json::from(*count)));
        each.collect::<Map<String, Json>>()
    };
    json!({
        "at_ms": time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0)),
        "version": env!("CARGO_PKG_VERSION"),
        "state": metrics.health().readiness().as_str(),
        "calls_in_flight": now.calls_in_flight,
        "connections": now.connections,
        "bounds_us": BOUNDS.iter().map(|bound| bound / 1000).collect::<Vec<u64>>(),
        "methods": now.methods.iter().map(|of| json!({
            "method": of.name, "ok": of.ok, "partial": of.partial, "failed": of.failed,
            "durations": of.durations,
        })).collect::<Vec<Json>>(),
        "backends": now.backends.iter().map(|of| json!({
            "backend": of.name, "up": of.up, "in_flight": of.in_flight, "waiting": of.waiting,
            "breakers_open": of.open, "answers": answers(&of.answers),
        })).collect::<Vec<Json>>(),
        "endpoints": now.endpoints.iter().map(|of| json!({
            "backend": of.backend, "endpoint": of.endpoint, "up": of.up,
            "ok": of.ok, "failed": of.failed,
        })).collect::<Vec<Json>>(),
        "loops": now.loops.iter().map(|of| json!({
            "loop": of.at, "lag_us": of.lag / 1000, "lag_max_us": of.lag_max / 1000,
            "busy_us": of.busy / 1000,
        })).collect::<Vec<Json>>(),
        "refused": now.refused.iter()
            .map(|(reason, count)| (reason.clone(), Json::from(*count)))
            .collect::<Map<String, Json>>(),
    })
}
