//! Lines of calls: those in the log of calls that fail, are partial or slow, and the access log.

use std::fs::read_to_string;
use std::process::Command;

use serde_json::Value as Json;

use crate::admin::{get, patiently, scrape};
use crate::header::{frame, pairs, read};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::{CALL, message};
use crate::support::{Process, Tributary, Wire};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The fields of every line with this message.
fn lines(log: &str, message: &str) -> Vec<Json> {
    let lines = log.lines().map(|line| {
        let line: Json = serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"));
        line["fields"].clone()
    });
    lines
        .filter(|fields| fields["message"] == message)
        .collect()
}

fn start(above: &str) -> Tributary {
    let config = CONFIG.replace("[server]", &format!("{above}\n[server]\nworkers = 1"));
    Tributary::start_with(&["--log-format", "json"], &config, &FILES)
}

fn call(wire: &mut Wire, method: &str, code: &str, given: &[(&str, &str)]) {
    wire.send(&frame(1, &pairs(given), &message(CALL, method, 1, code)));
    read(wire, 1, 0);
}

#[test]
fn calls_that_fail_or_are_slow_have_one_line_per_code_and_method_and_others_none() {
    let server = start("log = { slow = \"50ms\" }\ntraces = { endpoint = \"http://127.0.0.1:1\" }");
    let mut wire = server.connect();
    let parent = format!("00-{TRACE}-b7ad6b7169203331-00");
    call(&mut wire, "get", "JFK", &[]);
    for _ in 0..20 {
        let given = [("traceparent", &*parent), ("request-id", "r-1")];
        call(&mut wire, "get", "secret", &given);
    }
    call(&mut wire, "slow", "JFK", &[]);
    call(&mut wire, "slow", "secret", &[]);
    let (_, log) = server.stop("TERM");
    let lines = lines(&log, "call ended");
    let [of_get, slow, failed] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert_eq!(
        (&of_get["method"], &of_get["outcome"]),
        (&"get".into(), &"failed".into())
    );
    assert_eq!(of_get["code"], "call.required_empty");
    assert_eq!(
        (&of_get["trace_id"], &of_get["request_id"]),
        (&TRACE.into(), &"r-1".into())
    );
    let lookups = of_get["lookups"].as_str().expect("text");
    assert!(
        lookups.starts_with("airport=empty ") && lookups.ends_with("us"),
        "{lookups}"
    );
    assert!(
        of_get["peer"]
            .as_str()
            .is_some_and(|peer| peer.starts_with("127.0.0.1:")),
        "{of_get}"
    );
    assert!(
        of_get["caller"]
            .as_str()
            .is_some_and(|caller| caller.starts_with("connection"))
    );
    assert_eq!(
        (&slow["method"], &slow["outcome"]),
        (&"slow".into(), &"ok".into())
    );
    assert_eq!(slow["code"], Json::Null);
    let number = |field: &str| slow[field].as_u64().expect("a number");
    assert!(
        number("took_us") >= 50_000 && number("own_us") < number("took_us"),
        "{slow}"
    );
    assert_eq!(failed["method"], "slow");
    assert!(
        !log.contains("secret") && !log.contains("Kennedy"),
        "no values: {log}"
    );
}

const PAGES: &str = r#"
include "tributary.thrift"
struct Page { 1: required string text, 2: optional string token }
service Pages { Page page(1: string id, 2: string api_key, 3: tributary.Context context) }
"#;

/// A page for `one`; for `two` a required part is missing, which is the operator's fault.
fn pages(above: &str) -> Tributary {
    let config = format!(
        r#"
{above}
[server]
idl = "pages.thrift"
[backends.table]
kind = "file"
path = "pages.csv"
[lookups.page]
backend = "table"
key = {{ id = "{{id}}" }}
rows = "one"
[views.page.lookups]
page = {{ use = "page", into = "." }}
"#
    );
    let files = [
        ("pages.thrift", PAGES),
        ("pages.csv", "id,text,token\none,Kennedy,s3cret\n"),
    ];
    Tributary::start_with(&["--log-format", "json"], &config, &files)
}

fn call_page(server: &Tributary, id: &str) {
    let id = format!("id={id}");
    let words = ["page", &id, "api_key=s3cret", "--request-id", "r-7"];
    // A call that fails prints no JSON.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args([
        "call",
        "--transport",
        "framed",
        "--addr",
        &server.addr.to_string(),
    ]);
    let output = command.args(words).output().expect("the program itself");
    assert!(!output.stdout.is_empty() || !output.stderr.is_empty());
}

#[test]
fn a_request_id_in_the_context_of_a_plain_frame_is_in_every_record_of_the_call() {
    let mut server = pages(
        "admin = { listen = \"127.0.0.1:0\" }\nlog = { access = \"calls.log\", access_format = \"json\" }",
    );
    let admin = server.admin();
    call_page(&server, "one");
    call_page(&server, "two");
    let kept: Json = serde_json::from_str(&get(admin, "/calls").1).expect("JSON");
    let kept = kept["calls"].as_array().expect("a list");
    assert_eq!(kept.len(), 2, "{kept:#?}");
    for call in kept {
        assert_eq!(call["request_id"], "r-7");
        let path = format!("/calls/{}?format=otlp", call["id"].as_str().expect("text"));
        let spans = get(admin, &path).1;
        assert!(spans.contains("\"tributary.request_id\""), "{spans}");
        assert!(spans.contains("\"r-7\""), "{spans}");
    }
    let (_, log, folder) = server.stop_in("TERM");
    let [failed] = &lines(&log, "call ended")[..] else {
        panic!("{log}");
    };
    assert_eq!(failed["request_id"], "r-7");
    let access = read_to_string(folder.path().join("calls.log")).expect("it is there");
    assert_eq!(
        access.matches("\"request_id\":\"r-7\"").count(),
        2,
        "{access}"
    );
}

#[test]
fn a_failure_that_is_the_servers_is_one_warning_with_its_cause() {
    let server = pages("log = {}");
    for _ in 0..5 {
        call_page(&server, "two");
    }
    let (_, log) = server.stop("TERM");
    let ended = lines(&log, "call ended");
    assert_eq!(ended.len(), 1, "{log}");
    assert_eq!(ended[0]["code"], "merge.missing_field");
    assert!(ended[0]["detail"].is_string(), "{log}");
    assert!(ended[0]["lookups"].is_string(), "{log}");
    let mut written = log.lines().filter(|line| line.contains("call ended"));
    assert!(written.all(|line| line.contains("\"WARN\"")), "{log}");
    assert!(!log.contains("call failed"), "{log}");
}

/// The sample takes the call before its reply turns out to be too long.
#[test]
fn a_call_that_fails_when_its_reply_is_written_has_its_line_too() {
    let above = "admin = { listen = \"127.0.0.1:0\" }\nlog = {}";
    let config = CONFIG.replace("limits = {", "limits = { reply_bytes_max = \"20B\",");
    let config = config.replace("[server]", &format!("{above}\n[server]"));
    let server = Tributary::start_with(&["--log-format", "json"], &config, &FILES);
    call(&mut server.connect(), "get", "JFK", &[]);
    let (_, log) = server.stop("TERM");
    let ended = lines(&log, "call ended");
    assert_eq!(ended.len(), 1, "{log}");
    assert_eq!(ended[0]["code"], "call.reply_too_large");
}

#[test]
fn values_are_shown_only_where_the_configuration_asks_for_them_and_secrets_never() {
    for (in_log, in_calls) in [(false, false), (true, false), (false, true)] {
        let above = format!(
            "admin = {{ listen = \"127.0.0.1:0\", calls_values = {in_calls} }}\nlog = {{ sampled = 5, values = {in_log} }}"
        );
        let mut server = pages(&above);
        let admin = server.admin();
        call_page(&server, "one");
        let kept = get(admin, "/calls").1;
        for asks in [false, true] {
            let tapped = tap(&server, &admin.to_string(), asks);
            assert_eq!(tapped.contains("Kennedy"), in_calls && asks, "{tapped}");
            assert!(
                tapped.contains("page ok") && !tapped.contains("s3cret"),
                "{tapped}"
            );
        }
        let (_, log) = server.stop("TERM");
        for (shown, expected) in [(&log, in_log), (&kept, in_calls)] {
            assert_eq!(shown.contains("Kennedy"), expected, "{shown}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        let line = &lines(&log, "call ended")[0];
        let kept: Json = serde_json::from_str(&kept).expect("JSON");
        let call = &kept["calls"][0];
        let shown = if in_log { line } else { call };
        if in_log || in_calls {
            let params = shown["params"].as_str().expect("text");
            assert!(
                params.starts_with(r#"{"id":"one","api_key":"***","context":{"request_id":"r-7""#),
                "{params}"
            );
            assert_eq!(shown["result"], r#"{"text":"Kennedy","token":"***"}"#);
        }
    }
}

/// What `tap` prints of one call that is made while it watches.
fn tap(server: &Tributary, admin: &str, values: bool) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(["tap", "--limit", "1", "--admin", admin]);
    let mut tap = Process::start(
        if values {
            command.arg("--values")
        } else {
            &mut command
        },
        "the program itself",
    );
    let watching = tap.wait_for(|line| line.contains("watching").then_some(()));
    assert!(watching.is_some(), "{}", tap.written());
    call_page(server, "one");
    let line = tap.wait_for(|line| line.contains(" page ").then(|| line.to_owned()));
    line.unwrap_or_else(|| panic!("no call: {}", tap.written()))
}

#[test]
fn without_the_section_there_are_no_lines_and_a_sample_has_its_rate() {
    let server = start("");
    let mut wire = server.connect();
    call(&mut wire, "get", "none", &[]);
    let (_, log) = server.stop("TERM");
    assert_eq!(lines(&log, "call ended"), [Json::Null; 0]);
    let server = start("log = { sampled = 1 }");
    let mut wire = server.connect();
    for _ in 0..50 {
        call(&mut wire, "get", "JFK", &[]);
    }
    let (_, log) = server.stop("TERM");
    let lines = lines(&log, "call ended");
    assert!((1..25).contains(&lines.len()), "{lines:#?}");
    assert_eq!(
        (&lines[0]["outcome"], &lines[0]["suppressed"]),
        (&"ok".into(), &0.into())
    );
}

#[test]
fn the_access_log_has_a_line_of_every_call() {
    let above = "admin = { listen = \"127.0.0.1:0\" }\nlog = { access = \"calls.log\", access_format = \"json\" }";
    let mut server = start(above);
    let admin = server.admin();
    let mut wire = server.connect();
    for code in ["JFK", "LAX", "none"] {
        call(&mut wire, "get", code, &[("request-id", "r-1")]);
    }
    patiently(|| scrape(admin).count("tributary_access_log_lines_total", &[]) == 3);
    assert_eq!(
        scrape(admin).count("tributary_access_log_dropped_total", &[]),
        0
    );
    let path = server.folder().join("calls.log");
    let text = read_to_string(&path).expect("it is there");
    let of: Vec<Json> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let outcomes: Vec<_> = of.iter().map(|line| line["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("ok"), Some("ok"), Some("failed")]);
    assert_eq!(
        (&of[2]["code"], &of[2]["request_id"]),
        (&"call.required_empty".into(), &"r-1".into())
    );
    assert_eq!(of[0]["method"], "get");
    // What still waits at the end is written.
    for _ in 0..50 {
        call(&mut wire, "get", "JFK", &[]);
    }
    let (status, _, folder) = server.stop_in("TERM");
    assert_eq!(status.code(), Some(0));
    let text = read_to_string(folder.path().join("calls.log")).expect("it is there");
    assert_eq!(text.lines().count(), 53);
}

/// A reader that never reads: the pipe fills, then the queue.
#[test]
fn a_call_whose_client_hangs_up_is_in_the_access_log_and_kept() {
    let above = "admin = { listen = \"127.0.0.1:0\" }\nlog = { access = \"calls.log\" }";
    let config = CONFIG
        .replace("[server]", &format!("{above}\n[server]\nworkers = 1"))
        .replace("60ms", "1h")
        .replace(
            "[views.slow.lookups]",
            "[views.slow]\ndeadline = \"1h\"\n[views.slow.lookups]",
        );
    let mut server = Tributary::start(&config, &FILES);
    let admin = server.admin();
    let mut wire = server.connect();
    wire.send(&frame(
        1,
        &pairs(&[("request-id", "r-9")]),
        &message(CALL, "slow", 1, "JFK"),
    ));
    patiently(|| scrape(admin).count("tributary_calls_in_flight", &[]) == 1);
    drop(wire);
    let of = [("method", "slow"), ("outcome", "hung_up")];
    patiently(|| scrape(admin).count("tributary_calls_total", &of) == 1);
    patiently(|| scrape(admin).count("tributary_access_log_lines_total", &[]) == 1);
    let access = read_to_string(server.folder().join("calls.log")).expect("it is there");
    assert!(
        access.contains(" slow hung_up ") && access.contains("request_id=\"r-9\""),
        "{access}"
    );
    for query in [
        "outcome=hung_up",
        "list=failed&outcome=hung_up",
        "list=failed",
    ] {
        let (_, body) = get(admin, &format!("/calls?{query}"));
        let shown: Json = serde_json::from_str(&body).expect("JSON");
        let call = &shown["calls"][0];
        assert_eq!(
            (&call["outcome"], &call["request_id"]),
            (&"hung_up".into(), &"r-9".into()),
            "{query}: {body}"
        );
    }
    let (_, body) = get(admin, "/calls?outcome=failed");
    assert!(!body.contains("hung_up"), "{body}");
    let (_, log) = server.stop("TERM");
    assert!(
        log.contains("call ended") && log.contains("hung_up"),
        "{log}"
    );
}

#[test]
fn an_access_log_that_nobody_reads_delays_no_call_and_what_it_lacks_is_counted() {
    let fifo = "calls.fifo";
    let above = format!(
        "admin = {{ listen = \"127.0.0.1:0\" }}\nlog = {{ access = \"{fifo}\", access_queue = 10 }}"
    );
    let config = CONFIG.replace("[server]", &format!("{above}\n[server]\nworkers = 1"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in FILES.into_iter().chain([("tributary.toml", &*config)]) {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let path = folder.path().join(fifo);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()));
    // Both ends, so that neither waits for the other to open it.
    let both = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path);
    let _unread = both.expect("it was made");
    let mut server = Tributary::serve(folder, &[]);
    let admin = server.admin();
    let dropped = || scrape(admin).count("tributary_access_log_dropped_total", &[]);
    let mut wire = server.connect();
    while dropped() == 0 {
        for _ in 0..500 {
            call(&mut wire, "get", "JFK", &[]);
        }
    }
    call(&mut wire, "get", "JFK", &[]);
    assert_eq!(server.stop("TERM").0.code(), Some(0));
}
