//! Clients that stop halfway, read nothing, send nothing, or are gone.

use super::{CALL, Victim, assert_serves, beginning, message, patiently};

#[test]
fn an_incomplete_message_closes_its_connection() {
    let victim = Victim::start(r#"frame_timeout = "200ms""#);
    let call = message(CALL, "get", 1, "JFK");
    let whole = beginning(call.len(), &call);
    // After each of the first bytes, and also after a call.
    for sent in [1, 3, 4, 5, 20, whole.len() - 1] {
        let mut wire = victim.connect();
        wire.send(&whole[..sent]);
        assert_eq!(wire.read_to_end(), b"", "{sent}");
        let mut wire = victim.connect();
        assert_serves(&mut wire);
        wire.send(&whole[..sent]);
        assert_eq!(wire.read_to_end(), b"", "{sent}, after a call");
    }
    assert_eq!(victim.closed("too_slow"), 12);
}

#[test]
fn a_byte_now_and_then_does_not_extend_the_timeout() {
    let victim = Victim::start(r#"frame_timeout = "200ms""#);
    let wire = victim.connect();
    let mut dripping = wire.into_inner();
    // The first error shows that the server has closed; the message is far longer than needed.
    let dripped = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        dripping
            .write_all(&beginning(1 << 20, b"\x80\x01\x00\x01"))
            .expect("it is taken");
        let step = std::time::Duration::from_millis(20);
        dripping.set_read_timeout(Some(step)).expect("not zero");
        let mut byte = [0];
        // Waiting for a reply that never comes slows the sender down.
        while !matches!(dripping.read(&mut byte), Ok(0)) {
            if dripping.write_all(b"x").is_err() {
                break;
            }
        }
    });
    dripped.join().expect("it was closed");
    patiently(|| victim.closed("too_slow") == 1);
}

#[test]
fn a_silent_connection_is_closed_after_its_timeout() {
    let victim = Victim::start(r#"idle_timeout = "200ms""#);
    let mut never_said_a_word = victim.connect();
    assert_eq!(never_said_a_word.read_to_end(), b"");
    let mut wire = victim.connect();
    assert_serves(&mut wire);
    assert_eq!(wire.read_to_end(), b"");
    assert_eq!(victim.closed("idle"), 2);
}

#[test]
fn a_client_that_reads_nothing_of_its_reply_is_closed() {
    let victim = Victim::start(r#"write_timeout = "300ms""#);
    let mut greedy = victim.connect();
    greedy.send_frame(&message(CALL, "large", 1, "BIG"));
    patiently(|| victim.closed("too_slow") == 1);
    patiently(|| victim.buffered() == 0);
    victim.assert_serves();
}

#[test]
fn no_calls_are_read_from_a_client_that_does_not_read() {
    let victim = Victim::start(r#"write_timeout = "10m", pipelined_max = 4"#);
    let mut greedy = victim.connect();
    greedy.send_frame(&message(CALL, "large", 1, "BIG"));
    // The reply is waiting by now, and no further call is read.
    patiently(|| victim.buffered() > super::LARGE);
    for seqid in 2..9 {
        greedy.send_frame(&message(CALL, "never", seqid, "JFK"));
    }
    victim.assert_serves();
    assert_eq!(victim.count("tributary_calls_in_flight"), 0);
}

#[test]
fn calls_of_a_disconnected_client_are_cancelled() {
    let victim = Victim::start("");
    let mut wires: Vec<_> = (0..20).map(|_| victim.connect()).collect();
    for (at, wire) in (0..).zip(&mut wires) {
        wire.send_frame(&message(CALL, "never", at, "JFK"));
    }
    patiently(|| victim.count("tributary_calls_in_flight") == 20);
    // Half of the clients close normally, the others with a reset.
    for (at, wire) in wires.into_iter().enumerate() {
        let stream = wire.into_inner();
        if at % 2 == 0 {
            let reset = socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
            reset.expect("a socket");
        }
    }
    patiently(|| victim.count("tributary_calls_in_flight") == 0);
    let cancelled = [("method", "never"), ("fate", "cancelled")];
    let scrape = victim.scrape();
    assert_eq!(scrape.sum("tributary_lookups_total", &cancelled), 20);
    assert_eq!(scrape.sum("tributary_backend_in_flight_lookups", &[]), 0);
    patiently(|| victim.buffered() == 0);
}
