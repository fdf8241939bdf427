//! The headers of replies: what they contain, and what they do not.

use super::{CALL, assert_says, frame, pairs, read};
use crate::support::airports::{CONFIG, FILES, airports};
use crate::support::message::message;
use crate::support::{Tributary, Wire, bytes};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The header of the reply to a call with the header `said`; the reply contains `words`.
#[track_caller]
fn reply_header(
    wire: &mut Wire,
    call: &[u8],
    said: &[(&str, &str)],
    words: &str,
) -> Vec<(String, String)> {
    wire.send(&frame(9, &pairs(said), call));
    let (reply, header) = read(wire, 9, 0);
    assert_says(&reply, words);
    header
}

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn a_reply_has_the_request_id_and_says_whether_it_is_complete() {
    let server = airports();
    let mut wire = server.connect();
    let get = message(CALL, "get", 1, "JFK");
    let both = [("request-id", "r-1"), ("traceparent", TRACE)];
    let complete = [&both[..], &[("tributary-complete", "1")]].concat();
    assert_eq!(
        reply_header(&mut wire, &get, &both, "Kennedy"),
        texts(&complete)
    );
    let malformed = [("request-id", "r\u{7f}1"), ("traceparent", &TRACE[1..])];
    let header = reply_header(&mut wire, &get, &malformed, "Kennedy");
    let made_up = &header[0].1;
    assert!(
        made_up.len() == 16 && made_up.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{header:?}"
    );
    assert_eq!(header[1..], texts(&[("tributary-complete", "1")]));
    // If the call's frame has no pairs, the reply's has none either.
    wire = server.connect();
    wire.send_frame(&get);
    assert_eq!(wire.read_frame()[..4], bytes("80 01 00 02"));
}

/// The only log line about a call with this id.
#[track_caller]
fn line_of<'a>(log: &'a str, id: &str) -> &'a str {
    let about = |line: &&str| line.contains(id) && line.contains(" call ");
    let lines: Vec<&str> = log.lines().filter(about).collect();
    assert_eq!(lines.len(), 1, "{id}: {lines:?}\n{log}");
    lines[0]
}

#[test]
fn each_call_is_logged_once_with_its_generated_request_id() {
    let server = Tributary::start_telling_all(CONFIG, &FILES);
    let mut wire = server.connect();
    let get = message(CALL, "get", 1, "JFK");
    let calls = [
        (&get[..], "call served", "method=\"get\""),
        (
            &message(CALL, "none", 1, "JFK"),
            "call refused",
            "code=call.unknown_method",
        ),
        (&get[..20], "call failed", "code=call.bad_params"),
        (
            &message(CALL, "get", 1, "???"),
            "call failed",
            "code=call.required_empty",
        ),
    ];
    let mut ids = calls
        .map(|(call, ..)| reply_header(&mut wire, call, &[], "").swap_remove(0).1)
        .to_vec();
    wire.send(&frame(9, "00 01 01", b"zlib data, or not"));
    ids.push(read(&mut wire, 9, 0).1.swap_remove(0).1);
    let (_, log) = server.stop("TERM");
    let unopened = (&get[..], "call refused", "code=wire.unknown_transform");
    for (id, (_, says, more)) in ids.iter().zip(calls.iter().chain([&unopened])) {
        let line = line_of(&log, id);
        assert!(line.contains(says) && line.contains(more), "{line}");
    }
}

#[test]
fn a_call_whose_reply_is_not_sent_is_not_logged_as_served() {
    let config = CONFIG.replace("limits = {", "limits = { reply_bytes_max = \"20B\",");
    let server = Tributary::start_telling_all(&config, &FILES);
    let get = message(CALL, "get", 1, "JFK");
    let id = ("request-id", "r-1");
    reply_header(&mut server.connect(), &get, &[id], "call.reply_too_large");
    let (_, log) = server.stop("TERM");
    let line = line_of(&log, "r-1");
    assert!(line.contains("code=call.reply_too_large"), "{line}");
}

#[test]
fn the_header_of_a_failed_call_has_its_code() {
    let server = airports();
    let mut wire = server.connect();
    let id = ("request-id", "r-1");
    let with = |pairs: &[(&str, &str)]| texts(&[&[id][..], pairs].concat());
    for (name, code, pairs) in [
        (
            "get",
            "???",
            &[("tributary-code", "call.required_empty")][..],
        ),
        ("none", "JFK", &[("tributary-code", "call.unknown_method")]),
    ] {
        let call = message(CALL, name, 1, code);
        let header = reply_header(&mut wire, &call, &[id], pairs[0].1);
        assert_eq!(header, with(pairs));
    }
    let budget = ("deadline-budget", "1");
    let late = reply_header(
        &mut wire,
        &message(CALL, "slow", 1, "JFK"),
        &[id, budget],
        "call.deadline",
    );
    assert_eq!(late, with(&[("tributary-code", "call.deadline")]));
    // A call with unreadable parameters, a message that is not a call, and a frame that cannot be opened.
    let cut = &message(CALL, "get", 1, "JFK")[..20];
    let told_cut = reply_header(&mut wire, cut, &[id], "call.bad_params");
    let codes = [
        ("tributary-code", "call.bad_params"),
        ("tributary-cause", "wire.truncated"),
    ];
    assert_eq!(told_cut, with(&codes));
    let reply = reply_header(
        &mut wire,
        &message(2, "get", 1, "JFK"),
        &[id],
        "call.message_type",
    );
    assert_eq!(reply, with(&[("tributary-code", "call.message_type")]));
    wire.send(&frame(9, "00 01 01", b"zlib data, or not"));
    let (_, unopened) = read(&mut wire, 9, 0);
    assert_eq!(
        unopened[1..],
        texts(&[("tributary-code", "wire.unknown_transform")])
    );
}

#[test]
fn a_refused_call_gets_the_code_too() {
    let guarded = CONFIG
        .replace("limits = {", "limits = { calls_max = 1,")
        .replace(
            "[views.get.lookups]",
            "[views.get]\nallow = [\"token:batch\"]\n[views.get.lookups]",
        )
        .replace("60ms", "600ms")
        .replace(
            "[server]",
            "[server]\nlisteners = [{ listen = \"unix://socket\" }]\ntokens = { batch = \"file:batch.token\" }",
        );
    let token = [("batch.token", "0123456789abcdef-batch")];
    let files = [&FILES[..], &token].concat();
    let server = Tributary::start(&guarded, &files);
    let mut wire = server.connect();
    let get = reply_header(
        &mut wire,
        &message(CALL, "get", 1, "JFK"),
        &[],
        "call.unauthenticated",
    );
    assert_eq!(
        get[1..],
        texts(&[("tributary-code", "call.unauthenticated")])
    );
    // The first of two calls takes the only slot.
    let slow = frame(1, "00 00", &message(CALL, "slow", 1, "JFK"));
    wire.send(&[slow.clone(), slow].concat());
    assert_says(&read(&mut wire, 1, 0).0, "Kennedy");
    let (_, second) = read(&mut wire, 1, 0);
    assert_eq!(
        second[1..],
        texts(&[("tributary-code", "server.overloaded")])
    );
}

#[test]
fn missing_lookups_are_named_without_the_stores_messages() {
    let config = CONFIG.replace(
        "[views.slow.lookups]",
        "[lookups.broken]\nbackend = \"airports\"\nkey = { code = \"{code}\" }\nrows = \"one\"\n\
         inject = { error_rate = 1 }\n\
         [views.slow.lookups]\nname = { use = \"broken\", default = \"?\", into = \"name\" }",
    );
    let config = config.replace(
        r#"airport = { use = "far", into = ".", required = true }"#,
        r#"code = { use = "broken", default = "?" }"#,
    );
    let server = Tributary::start(&config, &FILES);
    let mut wire = server.connect();
    let slow = message(CALL, "slow", 1, "secret");
    let lacking = reply_header(&mut wire, &slow, &[("request-id", "r-1")], "?");
    let lookups = "name=default:lookup.injected,code=default:lookup.injected";
    let expected = [
        ("request-id", "r-1"),
        ("tributary-complete", "0"),
        ("tributary-incomplete", lookups),
    ];
    assert_eq!(lacking, texts(&expected));
    // This method has no field for a report.
    let asked = [("request-id", "r-1"), ("tributary-report", "1")];
    let report = &reply_header(&mut wire, &slow, &asked, "?")[3];
    assert_eq!(report.0, "tributary-report");
    let json: serde_json::Value = serde_json::from_str(&report.1).expect("JSON");
    assert_eq!(json["lookups"][1]["code"], "lookup.injected");
    assert!(!report.1.contains("secret"));
}
