//! Writes a call that is kept as JSON: in our own form, as OTLP, and as a trace for Chrome and Perfetto.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use crate::recorder::RecordedCall;
use crate::timeline::{Analysis, Lane, Micros, Source, Timeline, Track};
use crate::traces::{self, Resource};

/// Our own form.
pub(super) fn call_json(call: &RecordedCall) -> Json {
    let mut json = json!({
        "id": call.id(),
        "method": &*call.method,
        "outcome": call.outcome.as_str(),
        "caller": call.caller.to_string(),
        "request_id": call.request_id.as_deref(),
        "started_us": u64::try_from(since_epoch(call).as_micros()).unwrap_or(u64::MAX),
        "took_us": call.took.get(),
    });
    add_timeline(&mut json, &call.timeline);
    if let Some(values) = &call.values {
        json["params"] = (*values.params).into();
        json["result"] = values.result.as_deref().into();
    }
    json
}

/// Adds what happened when to the JSON of a call. Times of lookups count from the start of the call.
pub(super) fn add_timeline(json: &mut Json, timeline: &Timeline) {
    let analysis = Analysis::of(timeline);
    let lookups = timeline.lanes.iter().zip(&timeline.tracks).enumerate();
    let lookups = lookups.map(|(at, (lane, track))| {
        json!({
            "name": &*lane.name,
            "backend": &*lane.backend,
            "endpoint": timeline.endpoint(at),
            "attempts": timeline.several_endpoints(at).map(|asked| asked.attempts),
            "hedged": timeline.several_endpoints(at).map(|asked| asked.hedged),
            "hedged_us": timeline.several_endpoints(at).and_then(|asked| asked.hedged_at).map(Micros::get),
            "after": lane.after,
            "planned_us": track.planned.get(),
            "started_us": track.started.map(Micros::get),
            "first_answer_us": track.first_answer.map(Micros::get),
            "done_us": track.done.get(),
            "fate": track.fate.as_str(),
            "code": track.code.map(crate::error::Code::as_str),
            "source": source(track),
            "mates": (track.source == Source::Batched).then_some(track.mates),
            "age_us": track.age.map(Micros::get),
            "answered_by": lane.answered_by(track).map(|of| &*of.name),
            "first_code": track.first_code.map(crate::error::Code::as_str),
            "critical": analysis.critical_path.contains(&at),
            "slack_us": analysis.slack[at].get(),
        })
    });
    json["lookups"] = lookups.collect();
    json["mode"] = timeline.mode.as_str().into();
    json["merged_us"] = timeline.elapsed.get().into();
    json["serial_us"] = analysis.serial.get().into();
}

/// Where the value came from, which is the configuration if it is a default.
fn source(track: &Track) -> &'static str {
    if track.fate == crate::timeline::Fate::Default {
        "default"
    } else {
        track.source.as_str()
    }
}

fn since_epoch(call: &RecordedCall) -> Duration {
    let since = call
        .started
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.unwrap_or_default()
}

/// OTLP JSON, as a collector of traces would get it.
pub(super) fn otlp(call: &RecordedCall) -> Json {
    let resource = Resource::of_configured(&call.about.resource);
    traces::to_json(&resource, std::iter::once(call))
}

/// The trace event format: the call and each lookup that ran on a line of its own.
pub(super) fn perfetto(call: &RecordedCall) -> Json {
    let began = u64::try_from(since_epoch(call).as_micros()).unwrap_or(0);
    let event = |name: &str, line: usize, from: Micros, to: Micros, args: Json| {
        json!({
            "name": name, "ph": "X", "pid": 1, "tid": line,
            "ts": began + from.get(), "dur": to.minus(from).get(), "args": args,
        })
    };
    let line = |name: &str, line: usize| json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": line, "args": { "name": name } });
    let about = json!({
        "outcome": call.outcome.as_str(), "caller": call.caller.to_string(), "id": call.id(),
    });
    let mut events = vec![
        line(&call.method, 0),
        event(&call.method, 0, Micros::ZERO, call.took, about),
    ];
    for (at, lane, track, started) in ran(call) {
        let args = json!({
            "backend": &*lane.backend, "fate": track.fate.as_str(), "source": source(track),
            "code": track.code.map(crate::error::Code::as_str),
        });
        events.push(line(&lane.name, at + 1));
        events.push(event(&lane.name, at + 1, started, track.done, args));
    }
    json!({ "traceEvents": events, "displayTimeUnit": "ms" })
}

/// The lookups that were started, with their index and when.
fn ran(call: &RecordedCall) -> impl Iterator<Item = (usize, &Lane, &Track, Micros)> {
    let timeline = &call.timeline;
    let all = timeline.lanes.iter().zip(&timeline.tracks).enumerate();
    all.filter_map(|(at, (lane, track))| Some((at, lane, track, track.started?)))
}
