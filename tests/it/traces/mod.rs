//! Traces: spans on the wire, who is recorded, how stores learn of it, and collectors that misbehave.

mod decoded; // by another program
mod faults;
mod passed_on; // to stores
mod recorded; // which calls
mod shape; // of spans

use serde_json::Value as Json;

use crate::support::stub::{Posted, Stub, answer};

/// A collector that takes everything.
fn collector() -> Stub {
    Stub::start(|_| answer("200 OK", "", "{}"))
}

/// `[traces]` that sends JSON to this collector.
fn traces(collector: &Stub, keys: &str) -> String {
    let addr = collector.addr;
    format!(
        "[traces]\nendpoint = \"http://{addr}\"\nencoding = \"json\"\ncompression = \"none\"\n{keys}\n"
    )
}

/// The spans of one request.
fn spans(posted: &Posted) -> Vec<Json> {
    let body: Json = serde_json::from_slice(&posted.body).expect("JSON");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array().expect("spans").clone()
}

/// The next spans, of as many requests as it takes to see those of so many calls.
#[track_caller]
fn spans_of_calls(collector: &Stub, calls: usize) -> Vec<Json> {
    let mut all = Vec::new();
    while all.iter().filter(|span| is_call(span)).count() < calls {
        all.extend(spans(&collector.next()));
    }
    all
}

/// Whether a span is that of a whole call.
fn is_call(span: &Json) -> bool {
    span["kind"] == 2
}

/// The value of an attribute; null if the span does not have it.
fn attribute<'s>(span: &'s Json, name: &str) -> &'s Json {
    let attributes = span["attributes"].as_array().expect("a list");
    let found = attributes.iter().find(|of| of["key"] == name);
    let value = found.and_then(|of| of["value"].as_object()?.values().next());
    value.unwrap_or(&Json::Null)
}

#[track_caller]
fn named<'s>(spans: &'s [Json], name: &str) -> &'s Json {
    let found = spans.iter().find(|span| span["name"] == name);
    found.unwrap_or_else(|| panic!("no `{name}`: {spans:#?}"))
}
