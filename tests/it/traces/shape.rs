//! The spans of a call: parents, overlap, links, attributes, status.

use std::collections::HashSet;
use std::net::SocketAddr;

use serde_json::Value as Json;

use super::{attribute, collector, named, spans_of_calls, traces};
use crate::support::Tributary;
use crate::support::stub::{Posted, Stub, answer};

const IDL: &str = "
    struct City { 1: optional string name }
    struct Page { 1: optional City here, 2: optional City there, 3: optional City of_here, 4: optional City web,
        5: optional City gone }
    service Pages { Page page(1: string code) }
";

const CSV: &str = "code,name\nJFK,NYC\nNYC,New York\n";

/// `here` and `there` run at once for a while; `of_here` needs `here`; `web` is another server; `gone` always fails.
fn config(traces: &str, web: &Stub) -> String {
    format!(
        r#"
{traces}
[server]
idl = "pages.thrift"
[backends.table]
kind = "file"
path = "cities.csv"
[backends.web]
kind = "http"
url = "http://{web}"
[lookups.here]
backend = "table"
key = {{ code = "{{code}}" }}
rows = "one"
inject = {{ delay = "30ms" }}
[lookups.gone]
backend = "table"
key = {{ code = "{{code}}" }}
rows = "one"
inject = {{ error_rate = 1.0, error = "lookup.timeout" }}
[lookups.web]
backend = "web"
get = "/{{code}}"
[views.page.lookups]
here = "here"
there = "here"
of_here = {{ use = "here", with = {{ code = "here.name" }} }}
web = "web"
gone = "gone"
"#,
        web = web.addr
    )
}

fn start(traces: &str, web: &Stub) -> Tributary {
    let files = [("pages.thrift", IDL), ("cities.csv", CSV)];
    Tributary::start(&config(traces, web), &files)
}

fn nanos(span: &Json, key: &str) -> u64 {
    let text = span[key].as_str().expect("64 bits are text");
    text.parse().expect("a number")
}

/// The request with the spans of one call, and what the HTTP server was asked in it.
fn one_call() -> (Posted, Posted, SocketAddr) {
    let web = Stub::start(|_| answer("200 OK", "", r#"{"name": "Idlewild"}"#));
    let sink = collector();
    let keys =
        "share = 1.0\nresource = { \"service.name\" = \"pages\" }\nheaders = { api-key = \"k\" }";
    let server = start(&traces(&sink, keys), &web);
    server.call(&["page", "code=JFK"]);
    (sink.next(), web.next(), web.addr)
}

#[test]
fn a_request_says_who_sends_it() {
    let (posted, _, _) = one_call();
    let line = "post /v1/traces http/1.1\r\n";
    assert!(posted.head.starts_with(line), "{}", posted.head);
    assert_eq!(posted.header("content-type"), Some("application/json"));
    assert_eq!(posted.header("api-key"), Some("k"));
    let body: Json = serde_json::from_slice(&posted.body).expect("JSON");
    let resource = &body["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), "pages");
    assert!(attribute(resource, "service.version").is_string());
    let id = attribute(resource, "service.instance.id").as_str();
    assert_eq!(id.map(str::len), Some(36));
}

#[test]
fn a_call_is_a_tree_of_spans_that_overlap_as_its_lookups_did() {
    let (posted, _, _) = one_call();
    let spans = super::spans(&posted);
    let call = named(&spans, "Pages/page");
    assert_eq!(
        (&call["kind"], &call["parentSpanId"]),
        (&2.into(), &Json::Null)
    );
    let ids: HashSet<_> = spans.iter().map(|of| of["spanId"].to_string()).collect();
    assert_eq!(ids.len(), spans.len(), "each span has its id");
    let begin = |of: &Json| nanos(of, "startTimeUnixNano");
    let end = |of: &Json| nanos(of, "endTimeUnixNano");
    for span in &spans {
        assert_eq!(span["traceId"], call["traceId"]);
        if span["spanId"] != call["spanId"] {
            assert_eq!(span["parentSpanId"], call["spanId"]);
        }
        assert!(
            begin(call) <= begin(span) && begin(span) <= end(span),
            "{span}"
        );
        assert!(end(span) <= end(call), "{span}");
    }
    let [here, there, of_here] = ["here", "there", "of_here"].map(|name| named(&spans, name));
    assert!(begin(there) < end(here) && begin(here) < end(there));
    assert!(begin(of_here) >= end(here));
    let link = &of_here["links"][0];
    assert_eq!(link["spanId"], here["spanId"]);
    assert_eq!(link["traceId"], call["traceId"]);
    assert_eq!(here["links"], Json::Null);
    named(&spans, "decode parameters");
}

#[test]
fn spans_say_what_happened_in_the_words_of_the_conventions_and_no_values() {
    let (posted, asked, web) = one_call();
    let spans = super::spans(&posted);
    let call = named(&spans, "Pages/page");
    for (name, value) in [
        ("rpc.system.name", "thrift"),
        ("rpc.system", "thrift"),
        ("rpc.service", "Pages"),
        ("rpc.method", "Pages/page"),
        ("tributary.outcome", "partial"),
    ] {
        assert_eq!(attribute(call, name), value, "{name}");
    }
    // A part of it failed, not the call.
    assert_eq!(call["status"], serde_json::json!({}));
    let here = named(&spans, "here");
    assert_eq!(
        (&here["kind"], &here["status"]),
        (&1.into(), &serde_json::json!({}))
    );
    assert_eq!(attribute(here, "tributary.backend"), "table");
    assert_eq!(attribute(named(&spans, "of_here"), "fanout.critical"), true);
    assert_eq!(attribute(named(&spans, "there"), "fanout.critical"), false);
    let of_web = named(&spans, "web");
    assert_eq!(of_web["kind"], 3);
    assert_eq!(attribute(of_web, "server.address"), "127.0.0.1");
    assert_eq!(*attribute(of_web, "server.port"), web.port().to_string());
    assert_eq!(attribute(of_web, "tributary.fate"), "ok");
    let gone = named(&spans, "gone");
    assert_eq!(attribute(gone, "error.type"), "lookup.timeout");
    assert_eq!(gone["status"]["code"], 2);
    let text = Json::from(spans.clone()).to_string();
    assert!(!text.contains("JFK") && !text.contains("York"), "{text}");
    // The server that was asked was told which span asks.
    let hex = |of: &Json| of.as_str().expect("an id").to_owned();
    let expected = format!("00-{}-{}-01", hex(&call["traceId"]), hex(&of_web["spanId"]));
    assert_eq!(asked.header("traceparent"), Some(&*expected));
}

#[test]
fn a_call_whose_parameters_are_wrong_has_a_span_with_the_code() {
    let web = collector();
    let sink = collector();
    let server = start(&traces(&sink, "share = 0"), &web);
    let mut wire = server.connect();
    let body = crate::support::bytes("0b 00 01 00 00 00 63 00");
    wire.send_frame(&crate::support::message::with_body(1, "page", 1, &body));
    wire.read_frame();
    let spans = spans_of_calls(&sink, 1);
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert!(attribute(&spans[0], "error.type").is_string(), "{spans:#?}");
    assert_eq!(
        spans[0]["status"],
        serde_json::json!({}),
        "the client's fault"
    );
}
