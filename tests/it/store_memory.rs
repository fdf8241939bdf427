//! What large answers of stores take is limited: more wait for each other, and small ones pass.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::Tributary;

const IDL: &str = "
struct Page { 1: optional i64 answer }
service S { Page large(), Page huge(), Page small() }
";

const MIB: usize = 1024 * 1024;

/// The last bytes of large bodies are sent once this is set.
type Gate = Arc<OnceLock<()>>;

/// Answers `/small`, `/large` with not quite a mebibyte, and `/huge` with more.
fn serve(gate: &Gate) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || answer(stream, &gate));
        }
    });
    addr
}

fn answer(mut stream: TcpStream, gate: &Gate) -> Option<()> {
    let lines = BufReader::new(stream.try_clone().ok()?).lines();
    let mut body = String::new();
    for line in lines.map_while(Result::ok) {
        if let Some(path) = line.strip_prefix("GET ") {
            let filler = match path.split(' ').next() {
                Some("/large") => 1_000_000,
                Some("/huge") => 2_000_000,
                _ => 0,
            };
            body = json!({"filler": "x".repeat(filler), "answer": 7}).to_string();
        }
        if line.is_empty() {
            let (most, rest) = body.split_at(body.len() - 2);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + most).as_bytes()).ok()?;
            if body.len() > 100 {
                gate.wait();
            }
            stream.write_all(rest.as_bytes()).ok()?;
        }
    }
    Some(())
}

fn start(http: SocketAddr) -> Tributary {
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
limits = {{ store_bytes_max = "1MiB" }}
[backends.web]
kind = "http"
url = "http://{http}"
[lookups]
large = {{ backend = "web", get = "/large", pointer = "/answer" }}
huge = {{ backend = "web", get = "/huge", pointer = "/answer" }}
small = {{ backend = "web", get = "/small", pointer = "/answer" }}
[views]
large = {{ deadline = "60s", lookups.answer = {{ use = "large", timeout = "60s" }} }}
huge = {{ deadline = "60s", lookups.answer = {{ use = "huge", timeout = "60s" }} }}
small = {{ deadline = "60s", lookups.answer = {{ use = "small", timeout = "60s" }} }}
"#
    );
    Tributary::start(&config, &[("s.thrift", IDL)])
}

fn begin(server: &Tributary, method: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args(["call", "--timeout", "60s"])
        .args(["--addr", &server.addr.to_string(), method])
        .stdout(Stdio::piped());
    command.spawn().expect("the program itself")
}

fn reply(call: Child) -> Json {
    let output = call.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn large_answers_wait_for_each_other_and_small_ones_pass() {
    let gate = Gate::default();
    let mut server = start(serve(&gate));
    let admin = server.admin();
    let held = || scrape(admin).count("tributary_store_bytes", &[]);
    let refused = || scrape(admin).count("tributary_store_bytes_refused_total", &[]);
    let whole = json!({"answer": 7});

    // Waiting would not help it.
    assert_eq!(reply(begin(&server, "huge")), json!({}));
    assert_eq!(refused(), 1);
    let shed = [("method", "huge"), ("fate", "shed")];
    assert_eq!(scrape(admin).count("tributary_lookups_total", &shed), 1);
    patiently(|| held() == 0);

    let first = begin(&server, "large");
    patiently(|| held() >= 900 * 1024);
    // One may go beyond the limit.
    let second = begin(&server, "large");
    patiently(|| held() >= 1800 * 1024);
    let waits: Vec<Child> = (0..3).map(|_| begin(&server, "large")).collect();
    assert_eq!(reply(begin(&server, "small")), whole);
    assert!(held() <= 2 * MIB);

    gate.set(()).expect("once");
    for call in [first, second].into_iter().chain(waits) {
        assert_eq!(reply(call), whole);
    }
    patiently(|| held() == 0);
    assert_eq!(refused(), 1);
}
