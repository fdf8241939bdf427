//! Connections with TLS after SIGTERM: handshakes that have begun, and the end of the encrypted stream.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, StreamOwned};

use crate::secure::Secured;
use crate::support::airports::CONFIG;
use crate::support::message::message;
use crate::support::{TlsClient, TlsWire, Wire};

/// A client that has sent the first half of its first message.
fn begin_handshake(secured: &Secured) -> (ClientConnection, TcpStream, Vec<u8>) {
    let wire = secured.client(None).connect(secured.addr);
    let StreamOwned { mut conn, mut sock } = wire.into_inner();
    let mut hello = Vec::new();
    conn.write_tls(&mut hello).expect("a vector takes all");
    let rest = hello.split_off(hello.len() / 2);
    sock.write_all(&hello).expect("the server reads");
    (conn, sock, rest)
}

/// Expects the reply to `get`, then the end of the TLS stream, then that of the connection, which must not be a reset.
#[track_caller]
fn assert_served_and_closed(mut wire: TlsWire) {
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    // Without the alert that announces it, the end is an error.
    assert_eq!(wire.read_to_end(), b"");
    let mut rest = [0; 1];
    let end = wire.into_inner().sock.read(&mut rest);
    assert!(matches!(end, Ok(0)), "{end:?}");
}

#[test]
fn a_handshake_that_has_begun_is_completed_and_its_call_served() {
    let mut secured = Secured::serve(CONFIG, "");
    let (conn, mut sock, rest) = begin_handshake(&secured);
    secured.server.signal("TERM");
    secured.server.wait_for_line("draining");
    sock.write_all(&rest).expect("the server reads");
    let mut wire = Wire::over(StreamOwned::new(conn, sock));
    wire.send_frame(&message(1, "get", 1, "JFK"));
    assert_served_and_closed(wire);
    let (status, log) = secured.server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_handshake_that_does_not_go_on_is_closed_in_order() {
    let secured = Secured::serve(CONFIG, "");
    let (_, begun, _) = begin_handshake(&secured);
    let silent = TcpStream::connect(secured.addr).expect("it listens");
    let (status, log) = secured.server.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    for (mut sock, what) in [(begun, "begun"), (silent, "silent")] {
        let mut rest = [0; 1];
        let end = sock.read(&mut rest);
        assert!(matches!(end, Ok(0)), "{what}: {end:?}");
    }
}

#[test]
fn calls_that_were_sent_are_served_and_the_stream_is_closed() {
    for version in [&TLS12, &TLS13] {
        let secured = Secured::serve(CONFIG, ", versions = [\"1.2\", \"1.3\"]");
        let client = TlsClient::new(&secured.authority, None, version);
        let mut clients: Vec<_> = (0..10).map(|_| client.connect(secured.addr)).collect();
        for wire in &mut clients {
            wire.send_frame(&message(1, "get", 1, "JFK"));
            wire.read_frame();
        }
        secured.server.signal("STOP");
        for wire in &mut clients {
            wire.send_frame(&message(1, "get", 2, "JFK"));
        }
        secured.server.signal("TERM");
        secured.server.signal("CONT");
        clients.into_iter().for_each(assert_served_and_closed);
        let (status, log) = secured.server.end();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}
