//! Commands that are pointed at a port of another kind of server say so, long before their timeout.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use crate::support::{Memcached, Redis};

/// What `call`, `compare` and `bench` say; the IDL comes from a file or from the server.
fn said(addr: SocketAddr) -> Vec<String> {
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/idl/flights.thrift");
    let named = ["--idl", idl];
    let commands = [
        ("call", &named[..]),
        ("call", &[]),
        ("compare", &[]),
        ("bench", &named),
    ];
    let running: Vec<_> = commands
        .into_iter()
        .map(|(command, idl)| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_tributary"));
            program.args([command, "--timeout", "1h", "--addr", &addr.to_string()]);
            program.args(idl).args(["getAirport", "code=JFK"]);
            program.stderr(std::process::Stdio::piped());
            program.spawn().expect("it starts")
        })
        .collect();
    let ended = running.into_iter().map(|child| {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    });
    ended.collect()
}

#[track_caller]
fn check(addr: SocketAddr, what: &str) {
    let expected =
        format!("error: `{addr}` is {what}, not a Thrift server\n  help: is the port right?");
    for said in said(addr) {
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn redis_is_recognised() {
    check(Redis::start().addr, "a Redis server");
}

#[test]
fn memcached_is_recognised() {
    check(Memcached::start().addr, "a memcached server");
}

#[test]
fn http_that_waits_for_a_line_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut line = Vec::new();
                let mut reader = BufReader::new(&stream);
                drop(reader.read_until(b'\n', &mut line));
                drop((&stream).write_all(b"HTTP/1.0 404 Not Found\r\n\r\n"));
            });
        }
    });
    check(addr, "an HTTP server");
}
