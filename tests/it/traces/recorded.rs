//! Which calls are recorded: the caller's decision, the share, and always those that fail or are slow.

use serde_json::Value as Json;

use super::{attribute, collector, is_call, spans_of_calls, traces};
use crate::header::{CALL, frame, pairs, read};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::stub::Stub;
use crate::support::{Tributary, Wire};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn start(sink: &Stub, keys: &str) -> Tributary {
    let config = format!("{}{CONFIG}", traces(sink, keys));
    let config = config.replace("[server]", "[server]\nworkers = 1");
    Tributary::start(&config, &FILES)
}

/// Calls over one connection, so that they end in this order. Returns the pairs of the reply's header.
fn call(
    wire: &mut Wire,
    method: &str,
    code: &str,
    given: &[(&str, &str)],
) -> Vec<(String, String)> {
    wire.send(&frame(1, &pairs(given), &message(CALL, method, 1, code)));
    read(wire, 1, 0).1
}

/// The spans of the next calls that are recorded.
fn calls(sink: &Stub, count: usize) -> Vec<Json> {
    let spans = spans_of_calls(sink, count).into_iter();
    spans.filter(is_call).collect()
}

#[test]
fn without_a_share_only_calls_that_fail_or_are_slow_or_wanted_are_recorded() {
    let sink = collector();
    let server = start(&sink, "share = 0\nslow = \"50ms\"");
    let mut wire = server.connect();
    let parent = |flags: &str| format!("00-{TRACE}-{SPAN}-{flags}");
    let traceparent = |flags: &str| [("traceparent".to_owned(), parent(flags))];
    call(&mut wire, "get", "JFK", &[]);
    let not = traceparent("00");
    call(&mut wire, "get", "JFK", &[("traceparent", &not[0].1)]);
    call(&mut wire, "get", "XXX", &[]);
    call(&mut wire, "slow", "JFK", &[("traceparent", &not[0].1)]);
    let wanted = traceparent("01");
    let reply = call(&mut wire, "get", "LAX", &[("traceparent", &wanted[0].1)]);
    let spans = calls(&sink, 3);
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str()).collect();
    let expected = ["Airports/get", "Airports/slow", "Airports/get"].map(Some);
    assert_eq!(names, expected, "{spans:#?}");
    let [failed, slow, wanted] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(attribute(failed, "error.type"), "call.required_empty");
    assert_eq!(failed["parentSpanId"], Json::Null);
    assert_eq!(
        (&slow["traceId"], &slow["parentSpanId"]),
        (&TRACE.into(), &SPAN.into())
    );
    assert_eq!(
        (&wanted["traceId"], &wanted["parentSpanId"]),
        (&TRACE.into(), &SPAN.into())
    );
    // A parent in another process.
    assert_eq!(wanted["flags"], 0x301);
    // The caller finds the span of its call.
    let own = wanted["spanId"].as_str().expect("an id");
    let expected = ("traceparent".to_owned(), format!("00-{TRACE}-{own}-01"));
    assert!(reply.contains(&expected), "{reply:?}");
}

#[test]
fn with_the_whole_share_the_callers_no_holds() {
    let sink = collector();
    let server = start(&sink, "share = 1.0");
    let mut wire = server.connect();
    let ids = format!("{TRACE}-{SPAN}");
    call(&mut wire, "get", "JFK", &[("b3", &format!("{ids}-0"))]);
    call(&mut wire, "get", "JFK", &[("b3", &ids)]);
    let multi = [
        ("X-B3-TraceId", TRACE),
        ("X-B3-SpanId", SPAN),
        ("X-B3-Sampled", "0"),
    ];
    call(&mut wire, "get", "JFK", &multi);
    call(&mut wire, "get", "JFK", &[]);
    let spans = calls(&sink, 2);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert_eq!(
        (&spans[0]["traceId"], &spans[0]["parentSpanId"]),
        (&TRACE.into(), &SPAN.into())
    );
    assert_ne!(spans[1]["traceId"], TRACE);
}

#[test]
fn a_reload_changes_the_share() {
    let sink = collector();
    let mut server = start(&sink, "share = 0\n");
    let mut wire = server.connect();
    call(&mut wire, "get", "JFK", &[]);
    let path = server.folder().join("tributary.toml");
    let config = std::fs::read_to_string(&path).expect("it is there");
    let config = config.replace("share = 0\n", "share = 1.0\n");
    std::fs::write(path, config).expect("the folder is ours");
    server.reload("serving the reloaded configuration");
    call(&mut wire, "slow", "JFK", &[]);
    let spans = calls(&sink, 1);
    assert_eq!(spans[0]["name"], "Airports/slow", "{spans:#?}");
}
