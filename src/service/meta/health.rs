//! `health()`: the state of the server, as seen by the loop that answers.

use super::value::{list, record};
use crate::guard::Guards;
use crate::metrics::LoopMetrics;
use crate::value::Value;

pub(super) fn health(guards: &Guards, loop_metrics: &LoopMetrics) -> Value {
    let health = loop_metrics.health();
    let state = if health.is_draining() {
        "DRAINING"
    } else if health.is_ready() {
        "SERVING"
    } else {
        "STARTING"
    };
    let backends = list(guards.health(), |(name, kind, answers)| {
        record([
            ("name", name.into()),
            ("kind", kind.into()),
            ("is_answering", answers.into()),
        ])
    });
    let micros = |time: std::time::Duration| {
        let micros = i64::try_from(time.as_micros());
        Value::I64(micros.unwrap_or(i64::MAX))
    };
    let [lag, lag_max] = loop_metrics.lag();
    record([
        ("state", state.into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("backends", backends),
        ("loop_lag_us", micros(lag)),
        ("loop_lag_max_us", micros(lag_max)),
    ])
}
