//! Why a call fails, for its caller and its operator: the code, who is at fault, and whether a retry can help.

use std::process::Command;

use serde_json::{Value as Json, json};
use tributary::Server;

use crate::support::message::{CALL, REPLY, assert_exception, message, sized, with_body};
use crate::support::{Tributary, Wire, bytes};

const IDL: &str = r#"
include "tributary.thrift"
struct Airport { 1: required string code, 2: optional string name, 3: optional string city }
struct Trip { 1: optional list<string> stops }
struct Several { 1: optional list<Airport> airports, 2: optional tributary.Report report }
service Airports {
  list<Airport> many(1: list<string> codes)
  list<Airport> stops(1: Trip trip) throws (1: tributary.LookupFailed failed)
  Airport near(1: string code) throws (1: tributary.LookupFailed failed)
  Airport broken(1: string code) throws (1: tributary.LookupFailed failed)
  Several several(1: list<string> codes)
}
"#;

const CONFIG: &str = r#"
[server]
idl = "airports.thrift"

[backends.airports]
kind = "file"
path = "airports.csv"

[lookups.airport]
backend = "airports"
key = { code = "{code}" }
rows = "one"

[lookups.broken]
backend = "airports"
key = { code = "{code}" }
rows = "one"
inject = { error_rate = 1.0 }

[views.many.lookups]
airport = { foreach = "codes", with = { code = "item" } }

[views.stops.lookups]
airport = { foreach = "trip.stops", with = { code = "item" } }

[views.near.lookups]
here = { use = "airport", emit = false }
there = { use = "airport", with = { code = "here.city" }, into = ".", required = true }

[views.broken.lookups]
here = { use = "broken", emit = false }
there = { use = "airport", with = { code = "here.city" }, into = ".", required = true }

[views.several]
report = true
[views.several.lookups]
airports = { use = "airport", foreach = "codes", with = { code = "item" } }
"#;

fn airports() -> Tributary {
    let rows = "code,name,city\nJFK,Kennedy,NYC\nLAX,Los Angeles,\n";
    Tributary::start(CONFIG, &[("airports.thrift", IDL), ("airports.csv", rows)])
}

/// The output of `tributary call` on stdout and stderr.
fn call(server: &Tributary, words: &[&str]) -> (Json, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let addr = server.addr.to_string();
    command.args(["call", "--addr", &addr]).args(words);
    let output = command.output().expect("the program runs");
    let data = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (data, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Expects a `LookupFailed` with this code, message and advice on retries.
#[track_caller]
fn assert_failed(server: &Tributary, words: &[&str], code: &str, about: &str, retryable: bool) {
    let (data, rest) = call(server, words);
    assert_eq!(data["code"], code, "{data} {rest}");
    assert_eq!(data["retryable"], retryable, "{data}");
    let message = data["message"].as_str().expect("a text");
    assert!(message.ends_with(&format!("({about})")), "{message}");
}

#[test]
fn the_callers_mistake_is_reported_as_such() {
    let server = airports();
    let codes = json!(vec!["JFK"; 101]).to_string();
    let (_, rest) = call(&server, &["many", &format!("codes={codes}")]);
    let words = "(lookup `airport`: lookup.too_many: 101 elements, `foreach_max` is 100)";
    assert!(rest.contains("call.bad_params: "), "{rest}");
    assert!(rest.contains(words), "{rest}");
    let (_, rest) = call(&server, &["many"]);
    assert!(rest.contains("call.bad_params: "), "{rest}");
    assert!(
        rest.contains("(lookup `airport`: `codes` was not sent)"),
        "{rest}"
    );
    // A method that does not declare `InvalidRequest` throws what it declares.
    let about = "lookup `airport`: `trip.stops` was not sent";
    assert_failed(
        &server,
        &["stops", "trip={}"],
        "call.bad_params",
        about,
        false,
    );
    let about = "lookup `there` needs `here`: `code` was not sent";
    assert_failed(&server, &["near"], "call.required_empty", about, false);
    let (_, log) = server.stop("TERM");
    let told = |line: &&str| line.contains("lookup failed") && line.contains("lookup.too_many");
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");
}

#[test]
fn a_skipped_lookup_fails_like_the_lookup_it_needs() {
    let server = airports();
    let about = "lookup `there` needs `here`: lookup.injected";
    assert_failed(
        &server,
        &["broken", "code=JFK"],
        "call.required_failed",
        about,
        true,
    );
    let about = "lookup `there` needs `here`: there is nothing";
    assert_failed(
        &server,
        &["near", "code=XXX"],
        "call.required_empty",
        about,
        false,
    );
    let about = "lookup `there`: an input has no value";
    assert_failed(
        &server,
        &["near", "code=LAX"],
        "call.required_empty",
        about,
        false,
    );
    server.stop("TERM");
}

#[test]
fn a_lookup_that_was_not_run_has_no_source() {
    let server = airports();
    for (codes, source) in [("codes=[]", "none"), ("codes=[\"JFK\"]", "backend")] {
        let (data, rest) = call(&server, &["several", codes]);
        let lookup = &data["report"]["lookups"][0];
        assert_eq!(
            (&lookup["fate"], &lookup["source"]),
            (&json!("ok"), &json!(source)),
            "{data} {rest}"
        );
    }
    server.stop("TERM");
}

#[test]
fn a_panic_is_the_error_of_its_own_call() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("s.thrift", "service S { string get(1: string code) }");
    let config = "server = { idl = \"s.thrift\", listen = \"127.0.0.1:0\" }\nviews.get.lookups = { value = \"value\" }";
    write("tributary.toml", config);
    let server = Server::new(folder.path().join("tributary.toml"));
    let server = server.lookup("value", &["code"], async |input| {
        let code = input.get("code").clone();
        // Not at once, so that both calls are under way.
        tokio::task::yield_now().await;
        assert_ne!(code.as_str(), Some("boom"), "a planted panic");
        Ok(code)
    });
    let server = server.spawn().expect("it starts");
    let mut wire = Wire::connect(server.addr());
    for (sequence, code) in [(1, "fine"), (2, "boom"), (3, "good")] {
        wire.send_frame(&message(CALL, "get", sequence, code));
    }
    for (sequence, code) in [(1, "fine"), (2, "boom"), (3, "good")] {
        let reply = wire.read_frame();
        if code == "boom" {
            assert_exception(&reply, "get", sequence, 6, "server.internal");
        } else {
            let body = [&bytes("0b 00 00")[..], &sized(code.as_bytes()), &[0]].concat();
            assert_eq!(reply, with_body(REPLY, "get", sequence, &body));
        }
    }
    server.stop().expect("it goes on until then");
}
