//! SIGTERM with `drain_delay`: the server is not ready any more, says so in its replies, and goes on accepting calls.

use crate::admin::{get, status_of};
use crate::header::{CALL, frame, read};
use crate::support::Tributary;
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;

/// Goes on for `delay` after SIGTERM.
fn server(delay: &str) -> Tributary {
    let server =
        format!("admin = {{ listen = \"127.0.0.1:0\" }}\n[server]\ndrain_delay = \"{delay}\"");
    Tributary::start(&CONFIG.replace("[server]", &server), &FILES)
}

fn call() -> Vec<u8> {
    frame(9, "00 00", &message(CALL, "get", 1, "JFK"))
}

/// The value of the header that tells a client to connect elsewhere.
fn drain(pairs: &[(String, String)]) -> Option<&str> {
    let found = pairs.iter().find(|(name, _)| name == ":drain");
    found.map(|(_, value)| &**value)
}

#[test]
fn a_server_that_is_asked_to_stop_goes_on_for_a_while() {
    let mut server = server("1h");
    let admin = server.admin();
    let mut early = server.connect();
    early.send(&call());
    assert_eq!(drain(&read(&mut early, 9, 0).1), None);
    assert_eq!(status_of(&get(admin, "/readyz").0), 200);
    server.signal("TERM");
    server.wait_for_line("stopping");
    let (head, body) = get(admin, "/readyz");
    assert_eq!((status_of(&head), &*body), (503, "draining\n"));
    // New connections and old ones are served, and told.
    let mut late = server.connect();
    for wire in [&mut early, &mut late] {
        wire.send(&call());
        let (reply, pairs) = read(wire, 9, 0);
        assert!(String::from_utf8_lossy(&reply).contains("Kennedy"));
        assert_eq!(drain(&pairs), Some("true"));
    }
    // The next signal ends the wait.
    let (status, log) = server.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(early.read_to_end(), b"");
    assert_eq!(late.read_to_end(), b"");
}

#[test]
fn the_drain_begins_after_the_delay() {
    let mut server = server("50ms");
    server.signal("TERM");
    server.wait_for_line("draining");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_person_at_the_keyboard_does_not_wait() {
    let (status, log) = server("1h").stop("INT");
    assert_eq!(status.code(), Some(0), "{log}");
}
