//! `tributary bench` against the real server and a scripted one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use crate::support::airports::airports;
use crate::support::{Tributary, bytes};

fn bench(addr: &str, idl: &std::path::Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args([
            "bench", "--warmup", "0s", "--format", "json", "--addr", addr,
        ])
        .arg("--idl")
        .arg(idl)
        .args(words);
    command
}

fn of(server: &Tributary, words: &[&str]) -> Output {
    let idl = server.folder().join("airports.thrift");
    let run = bench(&server.addr.to_string(), &idl, words).output();
    run.expect("the program runs")
}

#[track_caller]
fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|err| panic!("{err}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_mode_makes_all_calls() {
    let server = airports();
    let lines = server.folder().join("codes.jsonl");
    std::fs::write(&lines, "{\"code\": \"JFK\"}\n{\"code\": \"LAX\"}\n").unwrap();
    let lines = lines.to_string_lossy();
    for words in [
        &["get", "code=JFK"][..],
        &[
            "--connections",
            "3",
            "--pipeline",
            "4",
            "get",
            "--json-lines",
            &lines,
        ],
        &["--rate", "4000", "--verify", "get", "--json-lines", &lines],
        &["--protocol", "compact", "get", "code=JFK"],
        &[
            "--transport",
            "unframed",
            "--pipeline",
            "8",
            "get",
            "code=JFK",
        ],
    ] {
        let words = [&["-n", "300"], words].concat();
        let output = of(&server, &words);
        let told = json(&output);
        assert!(output.status.success(), "{words:?}: {told}");
        assert_eq!(told["calls"], 300, "{words:?}: {told}");
        assert!(told["latency_us"]["p50"].as_f64() > Some(0.0), "{told}");
        assert!(told["bytes_received"].as_u64() > Some(300 * 20), "{told}");
    }
}

#[test]
fn the_servers_cpu_and_the_settings_are_reported() {
    let server = airports();
    let id = server.id().to_string();
    let words = [
        "--requests",
        "500",
        "--connections",
        "2",
        "--pid",
        &id,
        "get",
        "code=JFK",
    ];
    let told = json(&of(&server, &words));
    assert!(
        told["server"]["cpu_us_per_call"].as_f64() > Some(1.0),
        "{told}"
    );
    assert!(
        told["server"]["resident_bytes"].as_u64() > Some(1 << 20),
        "{told}"
    );
    let asked = serde_json::json!({
        "loop": "closed",
        "connections": 2,
        "pipeline": 1,
        "rate": null,
        "warmup_seconds": 0.0,
        "verified": false,
    });
    assert_eq!(told["asked"], asked);
}

#[test]
fn errors_are_counted_by_kind_and_fail_the_command() {
    let server = airports();
    let output = of(
        &server,
        &["--requests", "50", "--connections", "2", "get", "code=XXX"],
    );
    assert_eq!(output.status.code(), Some(1));
    let kind = "call.required_empty";
    assert_eq!(json(&output)["errors"], serde_json::json!({ kind: 50 }));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("50 calls failed"), "{said}");
}

#[test]
fn what_cannot_be_measured_is_reported() {
    let server = airports();
    for (words, says) in [
        (&["touch", "code=JFK"][..], "`touch` is oneway"),
        (
            &["--pid", "4294967295", "get", "code=JFK"],
            "no process 4294967295",
        ),
        (
            &["--connections", "0", "get", "code=JFK"],
            "invalid value '0' for '--connections",
        ),
        (&["get", "--json-lines", "/nowhere.jsonl"], "/nowhere.jsonl"),
    ] {
        let output = of(&server, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// A server with one method, whose connections the test serves, and the benchmark that calls it.
struct Scripted {
    listener: TcpListener,
    bench: Child,
    _folder: tempfile::TempDir,
}

impl Scripted {
    fn start(words: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let idl = folder.path().join("s.thrift");
        std::fs::write(&idl, "service S { string get() }").expect("written");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it is bound").to_string();
        let words = [words, &["--connections", "1", "get"]].concat();
        let bench = bench(&addr, &idl, &words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        Scripted {
            listener,
            bench,
            _folder: folder,
        }
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().expect("the bench connects").0
    }

    fn end(self) -> Output {
        self.bench.wait_with_output().expect("it ends")
    }
}

/// Reads one call and returns its sequence id.
fn take_call(stream: &mut TcpStream) -> i32 {
    // Length, head, `get`, sequence id, and the end of the empty parameters.
    let mut call = [0; 4 + 4 + 4 + 3 + 4 + 1];
    stream.read_exact(&mut call).expect("a call");
    i32::from_be_bytes([call[15], call[16], call[17], call[18]])
}

fn reply(stream: &mut TcpStream, sequence: i32, text: &str) {
    let body = [
        &bytes("80 01 00 02 00 00 00 03 'get'")[..],
        &sequence.to_be_bytes(),
        &bytes("0b 00 00 00 00 00"),
        &[u8::try_from(text.len()).expect("a short text")],
        text.as_bytes(),
        &[0],
    ]
    .concat();
    let length = u32::try_from(body.len()).expect("a short body");
    stream
        .write_all(&[&length.to_be_bytes(), &body[..]].concat())
        .expect("the bench reads");
}

#[test]
fn an_interrupt_ends_early_and_prints_the_results_so_far() {
    let scripted = Scripted::start(&["-d", "1h"]);
    let mut stream = scripted.accept();
    for _ in 0..10 {
        let sequence = take_call(&mut stream);
        reply(&mut stream, sequence, "x");
    }
    // The eleventh call is sent only after the tenth reply was read.
    take_call(&mut stream);
    let status = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", scripted.bench.id())])
        .status();
    assert!(status.unwrap().success());
    let output = scripted.end();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(json(&output)["calls"], 10);
}

/// A call that the server answers late delays all calls that are due meanwhile; they are counted although no connection
/// was free to make them.
#[test]
fn a_stall_counts_for_every_call_due_in_it() {
    let stall = Duration::from_millis(400);
    for (rate, stalled) in [(&["--rate", "100"][..], true), (&[], false)] {
        let scripted = Scripted::start(&[rate, &["--requests", "20"]].concat());
        let mut stream = scripted.accept();
        let first = take_call(&mut stream);
        stream.set_read_timeout(Some(stall)).expect("not zero");
        let early = stream.read(&mut [0]);
        assert!(early.is_err(), "one call at a time: {early:?}");
        stream.set_read_timeout(None).expect("a socket");
        reply(&mut stream, first, "x");
        for _ in 1..20 {
            let sequence = take_call(&mut stream);
            reply(&mut stream, sequence, "x");
        }
        let told = json(&scripted.end());
        assert_eq!(told["calls"], 20, "{told}");
        // Half of them were due in the first 100 ms, when the stall had 300 ms left.
        let p50 = told["latency_us"]["p50"].as_f64();
        assert_eq!(p50 > Some(250_000.0), stalled, "{told}");
    }
}

/// A server that is too slow for the rate does not make the run longer.
#[test]
fn calls_that_no_connection_was_free_to_send_before_the_end_are_errors() {
    let scripted = Scripted::start(&["--rate", "100", "-d", "200ms"]);
    let mut stream = scripted.accept();
    let first = take_call(&mut stream);
    // It hears of the end only here.
    stream
        .set_read_timeout(Some(Duration::from_millis(400)))
        .expect("not zero");
    assert!(stream.read(&mut [0]).is_err(), "one call at a time");
    reply(&mut stream, first, "x");
    let output = scripted.end();
    assert_eq!(output.status.code(), Some(1));
    let missed = "not sent: no connection was free until the end";
    assert_eq!(json(&output)["errors"], serde_json::json!({ missed: 19 }));
}

#[test]
fn wrong_replies_and_lost_connections_are_errors_and_the_run_continues() {
    let scripted = Scripted::start(&["--requests", "4", "--verify"]);
    let mut stream = scripted.accept();
    let sequence = take_call(&mut stream);
    reply(&mut stream, sequence, "first");
    let sequence = take_call(&mut stream);
    reply(&mut stream, sequence + 1, "first");
    let mut stream = scripted.accept();
    let sequence = take_call(&mut stream);
    reply(&mut stream, sequence, "second");
    take_call(&mut stream);
    drop(stream);
    let output = scripted.end();
    assert_eq!(output.status.code(), Some(1));
    let told = json(&output);
    assert_eq!(told["calls"], 1, "{told}");
    let expected = serde_json::json!({
        "a reply with another sequence id": 1,
        "the reply differs from the first one for the same parameters": 1,
        "the server closed the connection": 1,
    });
    assert_eq!(told["errors"], expected);
}
