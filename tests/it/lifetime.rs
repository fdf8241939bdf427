//! `connection_age_max` and `connection_calls_max`: connections end between two calls, and THeader clients are told before.

use crate::header::{CALL, frame, read};
use crate::support::Tributary;
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;

fn server(limit: &str) -> Tributary {
    let limits = format!("limits = {{ {limit},");
    Tributary::start(&CONFIG.replace("limits = {", &limits), &FILES)
}

#[test]
fn a_connection_ends_after_its_last_call() {
    let server = server("connection_calls_max = 2");
    let mut told = server.connect();
    for expected in [false, true] {
        told.send(&frame(9, "00 00", &message(CALL, "get", 1, "JFK")));
        let (reply, pairs) = read(&mut told, 9, 0);
        assert!(String::from_utf8_lossy(&reply).contains("Kennedy"));
        let is_told = pairs.contains(&(":drain".into(), "true".into()));
        assert_eq!(is_told, expected, "{pairs:?}");
    }
    assert_eq!(told.read_to_end(), b"");
    // More calls than the limit, sent at once: all of them are served.
    let mut plain = server.connect();
    for at in 0..5 {
        plain.send_frame(&message(CALL, "slow", at, "JFK"));
    }
    for _ in 0..5 {
        assert!(String::from_utf8_lossy(&plain.read_frame()).contains("Kennedy"));
    }
    assert_eq!(plain.read_to_end(), b"");
}

#[test]
fn a_connection_ends_at_its_age_and_a_call_that_runs_by_then_is_answered() {
    let server = server("connection_age_max = \"10ms\"");
    let mut idle = server.connect();
    let mut busy = server.connect();
    busy.send_frame(&message(CALL, "slow", 1, "JFK"));
    assert!(String::from_utf8_lossy(&busy.read_frame()).contains("Kennedy"));
    assert_eq!(busy.read_to_end(), b"");
    assert_eq!(idle.read_to_end(), b"");
}
