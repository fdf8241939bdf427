//! How stores learn of the trace: W3C Trace Context and B3, over HTTP.

use super::{collector, traces};
use crate::header::{CALL, frame, pairs, read};
use crate::support::Tributary;
use crate::support::message::message;
use crate::support::stub::{Posted, Stub, answer};

const IDL: &str =
    "struct City { 1: optional string name } service Cities { City city(1: string code) }";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// The request that a store gets for a call with these headers, if `[traces]` says so.
fn passed_on(keys: &str, given: &[(&str, &str)]) -> Posted {
    let web = Stub::start(|_| answer("200 OK", "", r#"{"name": "Idlewild"}"#));
    let sink = collector();
    let traces = if keys.is_empty() {
        String::new()
    } else {
        traces(&sink, keys)
    };
    let config = format!(
        "{traces}\n[server]\nidl = \"c.thrift\"\n[backends.web]\nkind = \"http\"\nurl = \"http://{}\"\n\
         [lookups.city]\nbackend = \"web\"\nget = \"/{{code}}\"\n\
         [views.city.lookups]\ncity = {{ use = \"city\", into = \".\" }}\n",
        web.addr
    );
    let server = Tributary::start(&config, &[("c.thrift", IDL)]);
    let mut wire = server.connect();
    wire.send(&frame(1, &pairs(given), &message(CALL, "city", 1, "JFK")));
    read(&mut wire, 1, 0);
    web.next()
}

#[test]
fn without_traces_the_callers_headers_are_passed_on_as_they_are() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let asked = passed_on("", &[("traceparent", &parent), ("tracestate", "a=1")]);
    assert_eq!(asked.header("traceparent"), Some(&*parent));
    assert_eq!(asked.header("tracestate"), Some("a=1"));
    assert_eq!(passed_on("", &[]).header("traceparent"), None);
}

#[test]
fn stores_get_the_forms_that_are_configured() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let given = [("traceparent", &*parent), ("tracestate", "a=1")];
    let asked = passed_on("propagate = [\"b3\", \"b3_multi\"]", &given);
    assert_eq!(asked.header("traceparent"), None, "{}", asked.head);
    let span = asked.header("x-b3-spanid").expect("an id").to_owned();
    assert_ne!(span, SPAN, "it is the lookup's own");
    assert_eq!(asked.header("x-b3-traceid"), Some(TRACE));
    assert_eq!(asked.header("x-b3-sampled"), Some("1"));
    let single = asked.header("b3").expect("it is wanted");
    let begins = format!("{TRACE}-{span}-1-");
    assert!(single.starts_with(&begins), "{single}");

    let b3 = format!("{TRACE}-{SPAN}-0");
    let asked = passed_on("share = 1.0", &[("b3", &b3)]);
    let parent = asked.header("traceparent").expect("the default");
    assert!(parent.starts_with(&format!("00-{TRACE}-")), "{parent}");
    assert!(
        parent.ends_with("-00"),
        "the caller's no is passed on: {parent}"
    );
    assert_eq!(asked.header("b3"), None);
}
