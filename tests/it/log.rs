//! The log is bounded: lines that repeat are suppressed and counted, and a log that is not read stops no call.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;

use tempfile::TempDir;

use crate::admin::{patiently, scrape};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::{message, with_body};
use crate::support::{PATIENCE, Tributary, Wire, send_signal};

/// More than fits into the pipe and the program's queue.
const STRANGERS: usize = 2500;
const CALL: u8 = 1;

/// A server that logs every connection into a pipe, which the test reads when it wants to.
struct Unread {
    addr: SocketAddr,
    admin: SocketAddr,
    server: Option<Child>,
    log: BufReader<ChildStderr>,
    _folder: TempDir,
}

impl Unread {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = CONFIG
            .replace(
                "[server]",
                "[server]\nworkers = 1\nlisten = \"127.0.0.1:0\"",
            )
            .replace("[server]", "[admin]\nlisten = \"127.0.0.1:0\"\n[server]")
            .replace("60ms", "1h")
            .replace(
                "[views.slow.lookups]",
                "[views.slow]\ndeadline = \"1h\"\n[views.slow.lookups]",
            );
        for (name, text) in FILES.into_iter().chain([("tributary.toml", &*config)]) {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let mut server = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["serve", "--log", "debug", "-c"])
            .arg(folder.path().join("tributary.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program itself");
        let log = BufReader::new(server.stderr.take().expect("piped"));
        let mut unread = Unread {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            server: Some(server),
            log,
            _folder: folder,
        };
        let line = unread.line_with("listening");
        let (_, addr) = line.trim_end().rsplit_once("addr=").expect("an address");
        unread.addr = addr.parse().expect("an address");
        let line = unread.line_with("port=\"admin\"");
        let (_, rest) = line.split_once("addr=").expect("an address");
        let (addr, _) = rest.split_once(' ').expect("a port");
        unread.admin = addr.parse().expect("an address");
        unread
    }

    fn line_with(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).expect("it is text");
            assert!(read > 0, "the log ends without `{word}`");
            if line.contains(word) {
                return line;
            }
        }
    }

    /// Connects repeatedly without Thrift; each connection is refused.
    fn bother(&self) {
        for _ in 0..STRANGERS {
            let mut wire = Wire::connect(self.addr);
            wire.send(b"GET / HTTP/1.1\r\n\r\n");
            assert_eq!(wire.read_to_end(), b"");
        }
    }

    fn assert_serves(&self) {
        let mut wire = Wire::connect(self.addr);
        wire.send_frame(&message(CALL, "get", 1, "JFK"));
        assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    }

    fn signal(&self, name: &str) {
        let server = self.server.as_ref().expect("it runs");
        send_signal(server.id(), name);
    }

    /// Waits for the program to end.
    fn end(&mut self) -> ExitStatus {
        let mut server = self.server.take().expect("it runs");
        let id = server.id();
        let (ended, end) = channel();
        std::thread::spawn(move || ended.send(server.wait()));
        let Ok(status) = end.recv_timeout(PATIENCE) else {
            send_signal(id, "KILL");
            panic!("it still runs");
        };
        status.expect("our child")
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

/// The loop used to write each line itself: it waited for the reader and did not even notice SIGTERM.
#[test]
fn a_server_whose_log_is_full_serves_and_stops() {
    let mut server = Unread::start();
    server.bother();
    server.assert_serves();
    server.signal("TERM");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn lines_dropped_by_a_full_log_are_reported_once_it_is_read() {
    let mut server = Unread::start();
    server.bother();
    let dropped = |server: &Unread| scrape(server.admin).count("tributary_log_dropped_total", &[]);
    assert!(dropped(&server) > 0);
    let line = server.line_with("of the log were dropped");
    let (count, _) = line.split_once(" lines of the log").expect("a number");
    let count = count.rsplit(' ').next().expect("a word");
    let count: usize = count.parse().expect("a number");
    assert!((1..=dropped(&server)).contains(&count), "{line}");
    server.assert_serves();
    server.line_with("call served");
    server.signal("TERM");
    server.line_with("stopping");
    server.line_with("draining");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_second_signal_ends_a_server_immediately() {
    let mut server = Unread::start();
    server.bother();
    let mut wire = Wire::connect(server.addr);
    let frame = |name| {
        let call = message(CALL, name, 1, "JFK");
        let len = u32::try_from(call.len()).expect("a small message");
        [&len.to_be_bytes()[..], &call].concat()
    };
    // In one write: when the first is answered, the server has read the second.
    wire.send(&[frame("get"), frame("slow")].concat());
    wire.read_frame();
    server.signal("TERM");
    patiently(|| TcpStream::connect(server.addr).is_err());
    server.signal("TERM");
    assert_eq!(server.end().code(), Some(1));
}

#[test]
fn one_of_many_refused_connections_is_logged_and_all_are_counted() {
    let head = "admin = { listen = \"127.0.0.1:0\" }\n[server]\nworkers = 1";
    let mut server = Tributary::start(&CONFIG.replace("[server]", head), &FILES);
    let admin = server.admin();
    let mut peers = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(server.addr).expect("it listens");
        peers.push(stream.local_addr().expect("it is connected"));
        let mut wire = Wire::over(stream);
        wire.send(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(wire.read_to_end(), b"");
    }
    let closed = "tributary_connections_closed_total";
    patiently(|| scrape(admin).count(closed, &[("reason", "bad_bytes")]) == peers.len());
    let listener = server.addr;
    let (_, log) = server.stop("TERM");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("bad bytes"))
        .collect();
    let told = format!("peer={} listener=\"{listener}\" suppressed=0", peers[0]);
    assert!(lines[0].ends_with(&told), "{log}");
    // One line in ten seconds.
    assert!(lines.len() < peers.len(), "{log}");
}

/// Each call fails for the operator's fault: the reply lacks a required field.
const FAILING: &str = r#"
[server]
idl = "s.thrift"
workers = 1
[backends.table]
kind = "file"
path = "who.csv"
[lookups.who]
backend = "table"
key = { who = "{who}" }
rows = "value"
[views.get.lookups]
who = "who"
[views.other.lookups]
who = "who"
"#;

#[test]
fn one_of_many_calls_that_fail_alike_is_logged_and_an_absent_request_id_is_left_out() {
    let idl = "struct Who { 1: required string who }
        service S { Who get(1: string who), Who other(1: string who) }";
    let files = [("s.thrift", idl), ("who.csv", "who\nann\n")];
    let server = Tributary::start(FAILING, &files);
    let mut wire = server.connect();
    for _ in 0..100 {
        wire.send_frame(&message(CALL, "get", 1, "bob"));
        assert!(String::from_utf8_lossy(&wire.read_frame()).contains("merge.missing_field"));
    }
    wire.send_frame(&message(CALL, "other", 1, "bob"));
    wire.read_frame();
    let (_, log) = server.stop("TERM");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("call ended"))
        .collect();
    let [get, other] = lines[..] else {
        panic!("one line per method\n{log}");
    };
    assert!(
        get.contains("method=\"get\"") && get.contains("suppressed=0"),
        "{get}"
    );
    assert!(other.contains("method=\"other\""), "{other}");
    for line in [get, other] {
        assert!(line.contains(" WARN ") && line.contains("code=merge.missing_field"));
    }
    assert!(!log.contains("call failed"), "one line, not two: {log}");
    assert!(!log.contains("request_id"), "{log}");
}

#[test]
fn every_call_that_fails_is_logged_at_debug() {
    let idl = "struct Who { 1: required string who }
        service S { Who get(1: string who), Who other(1: string who) }";
    let files = [("s.thrift", idl), ("who.csv", "who\nann\n")];
    let server = Tributary::start_telling_all(FAILING, &files);
    let mut wire = server.connect();
    for _ in 0..3 {
        wire.send_frame(&message(CALL, "get", 1, "bob"));
        wire.read_frame();
    }
    wire.send_frame(&with_body(CALL, "get", 1, &[0]));
    wire.read_frame();
    let (_, log) = server.stop("TERM");
    let lines = ["call ended", "call failed"].map(|line| log.matches(line).count());
    assert_eq!(lines, [1, 3], "{log}");
    assert!(!log.contains("request_id=\"\""), "{log}");
}

#[test]
fn numbers_in_a_json_log_are_numbers() {
    let config = CONFIG.replace("[server]", "[server]\nworkers = 2");
    let options = ["--log", "debug", "--log-format", "json"];
    let server = Tributary::start_with(&options, &config, &FILES);
    let mut wire = server.connect();
    wire.send_frame(&message(CALL, "get", 1, "JFK"));
    wire.read_frame();
    let mut stranger = server.connect();
    stranger.send(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(stranger.read_to_end(), b"");
    let (_, log) = server.stop("TERM");
    let lines = log.lines();
    let lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}")))
        .collect();
    for (words, field) in [
        ("listening", "workers"),
        ("call served", "elapsed_us"),
        ("connection closed: bad bytes", "suppressed"),
        ("draining", "open"),
        ("stopped", "drain_ms"),
    ] {
        let mut fields = lines.iter().map(|line| &line["fields"]);
        let found = fields.find(|fields| fields["message"] == words);
        let found = found.unwrap_or_else(|| panic!("no `{words}`:\n{log}"));
        assert!(found[field].is_u64(), "{found}");
    }
    for line in &lines {
        let fields = line["fields"].as_object().expect("fields");
        for (name, value) in fields {
            let text = value.as_str().unwrap_or_default();
            let is_text = text.parse::<f64>().is_err() && text.parse::<bool>().is_err();
            assert!(is_text, "`{name}` is a string: {line}");
        }
    }
}
