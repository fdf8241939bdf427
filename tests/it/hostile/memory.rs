//! The memory of clients is accounted: the largest connections wait, small ones do not.

use super::{CALL, LARGE, Victim, assert_serves, beginning, long_call, message, patiently};
use crate::support::bytes;
use crate::support::message::{assert_exception, sized, with_body};

/// One mebibyte.
const MIB: usize = 1 << 20;

#[test]
fn a_declared_length_costs_nothing() {
    let victim = Victim::start("");
    let start = &message(CALL, "get", 1, "JFK")[..8];
    let mut held: Vec<_> = (0..100).map(|_| victim.connect()).collect();
    for wire in &mut held {
        wire.send(&beginning(MIB, start));
    }
    // All of them were read.
    let sent = held.len() * 12;
    patiently(|| victim.count("tributary_received_bytes_total") >= sent);
    let buffered = victim.buffered();
    assert!(buffered <= held.len() * 4 * 1024, "{buffered}");
    victim.assert_serves();
}

#[test]
fn a_long_message_leaves_no_long_buffer() {
    let victim = Victim::start("");
    let mut wire = victim.connect();
    for (seqid, length) in [(0, 8 * MIB), (1, 10_000), (2, 100_000), (3, 8 * MIB)] {
        wire.send_frame(&long_call(seqid, length));
        assert!(!wire.read_frame().is_empty());
        patiently(|| victim.buffered() <= 4 * 1024);
    }
    wire.send_frame(&message(CALL, "large", 4, "BIG"));
    assert!(wire.read_frame().len() > LARGE);
    patiently(|| victim.buffered() <= 4 * 1024);
    assert_serves(&mut wire);
}

#[test]
fn over_the_limit_the_largest_connection_waits_until_memory_is_free() {
    let victim = Victim::start(
        r#"buffered_bytes_max = "16MiB", connection_bytes_max = "64KiB", frame_timeout = "10m", write_timeout = "10m""#,
    );
    let mut greedy = victim.connect();
    greedy.send_frame(&message(CALL, "large", 1, "BIG"));
    patiently(|| victim.buffered() >= LARGE);
    // It would fit if the client read its reply.
    let call = beginning(6 * MIB, &long_call(7, 6 * MIB));
    let mut other = victim.connect();
    let sends = std::thread::spawn(move || {
        other.send(&call);
        other.read_frame()
    });
    patiently(|| victim.buffered() > 16 * MIB);
    // It is held once it could read on: until then its client may not have sent more.
    patiently(|| victim.count("tributary_reads_held_total") > 0);
    // The memory of a short reply after a long one is free once the reply is sent.
    let mut small = victim.connect();
    for _ in 0..5 {
        assert_serves(&mut small);
    }
    assert!(!sends.is_finished());
    // Now there is room; a connection may always have one message, regardless of `connection_bytes_max`.
    assert!(greedy.read_frame().len() > LARGE);
    let reply = sends.join().expect("it is answered");
    assert!(String::from_utf8_lossy(&reply).contains("Kennedy"));
    patiently(|| victim.buffered() <= 64 * 1024);
}

#[test]
fn a_message_that_gets_no_memory_in_time_is_refused() {
    let victim = Victim::start(r#"buffered_bytes_max = "512KiB", frame_timeout = "300ms""#);
    let mut wire = victim.connect();
    let call = beginning(2 * MIB, &long_call(-9, 2 * MIB));
    wire.send(&call[..MIB]);
    let reply = wire.read_frame();
    assert_exception(&reply, "get", -9, 6, "server.overloaded");
    assert_eq!(wire.read_to_end(), b"");
    patiently(|| victim.closed("overloaded") == 1);
    patiently(|| victim.buffered() <= 64 * 1024);
    victim.assert_serves();
}

#[test]
fn unread_replies_leave_room_for_small_ones() {
    let victim = Victim::start(r#"buffered_bytes_max = "16MiB", write_timeout = "10m""#);
    let mut greedy = victim.connect();
    greedy.send_frame(&message(CALL, "large", 1, "BIG"));
    patiently(|| victim.buffered() > LARGE);
    let mut other = victim.connect();
    other.send_frame(&message(CALL, "large", 2, "BIG"));
    assert_exception(&other.read_frame(), "large", 2, 6, "server.overloaded");
    assert_serves(&mut other);
    // Once the first client reads its reply, there is room for another.
    assert!(greedy.read_frame().len() > LARGE);
    patiently(|| victim.buffered() < LARGE);
    other.send_frame(&message(CALL, "large", 3, "BIG"));
    assert!(other.read_frame().len() > LARGE);
}

#[test]
fn replies_of_one_connection_are_bounded() {
    let victim = Victim::start(r#"connection_bytes_max = "16MiB", write_timeout = "10m""#);
    let mut greedy = victim.connect();
    let calls = (0..5).flat_map(|seqid| sized(&message(CALL, "large", seqid, "BIG")));
    greedy.send(&calls.collect::<Vec<u8>>());
    let refused = [("method", "large"), ("outcome", "server.overloaded")];
    patiently(|| victim.scrape().count("tributary_calls_total", &refused) > 0);
    assert!(victim.buffered() < 3 * LARGE);
    victim.assert_serves();
    // Replies are encoded on several threads, so that any of them may be the first that takes memory.
    let mut served = 0;
    for seqid in 0..5 {
        let reply = greedy.read_frame();
        if reply.len() > LARGE {
            served += 1;
        } else {
            assert_exception(&reply, "large", seqid, 6, "server.overloaded");
        }
    }
    assert!(served > 0);
    assert_serves(&mut greedy);
}

#[test]
fn pipelined_messages_wait_unread_when_a_connection_has_much() {
    let victim = Victim::start(r#"connection_bytes_max = "128KiB", pipelined_max = 1000"#);
    let mut wire = victim.connect();
    let mut sent = Vec::new();
    for seqid in 0..50 {
        sent.extend(sized(&long_call(seqid, 100 * 1024)));
    }
    wire.send(&sent);
    for seqid in 0..50_i32 {
        let reply = wire.read_frame();
        assert_eq!(reply[11..15], seqid.to_be_bytes(), "in their order");
    }
    patiently(|| victim.buffered() <= 64 * 1024);
}

#[test]
fn calls_over_the_limit_are_refused_immediately_and_those_in_flight_continue() {
    let victim = Victim::start("calls_max = 2");
    let mut waits = victim.connect();
    for seqid in 0..2 {
        waits.send_frame(&message(CALL, "never", seqid, "JFK"));
    }
    patiently(|| victim.count("tributary_calls_in_flight") == 2);
    let mut other = victim.connect();
    other.send_frame(&message(CALL, "get", 3, "JFK"));
    assert_exception(&other.read_frame(), "get", 3, 6, "server.overloaded");
    drop(waits);
    patiently(|| victim.count("tributary_calls_in_flight") == 0);
    assert_serves(&mut other);
}

/// The parameters of `many` after the code.
fn many(seqid: i32, params: &[u8]) -> Vec<u8> {
    let code = [&bytes("0b 00 01")[..], &sized(b"JFK")].concat();
    with_body(CALL, "many", seqid, &[&code[..], params, &[0]].concat())
}

/// A list of `count` empty structs: one byte each on the wire, more than fifty times as much in memory.
fn blanks(count: u32) -> Vec<u8> {
    let list = [&bytes("0f 00 02 0c")[..], &count.to_be_bytes()];
    [&list.concat()[..], &vec![0; count as usize]].concat()
}

#[test]
fn decoded_values_count_too() {
    let victim = Victim::start(r#"buffered_bytes_max = "1MiB""#);
    let mut wire = victim.connect();
    wire.send_frame(&many(1, &blanks(100)));
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    wire.send_frame(&many(2, &blanks(30_000)));
    assert_exception(&wire.read_frame(), "many", 2, 6, "server.overloaded");
    wire.send_frame(&many(3, &blanks(2)));
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    let roomy = Victim::start(r#"buffered_bytes_max = "4GiB""#);
    let mut wire = roomy.connect();
    // The limit on the values of a message applies however much memory is free.
    for count in [34_000, 1_000_000] {
        wire.send_frame(&many(4, &blanks(count)));
        assert_exception(&wire.read_frame(), "many", 4, 7, "call.bad_params");
    }
    wire.send_frame(&many(5, &blanks(30_000)));
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    patiently(|| roomy.buffered() <= 64 * 1024);
}

#[test]
fn bombs_are_answered_and_do_not_affect_others() {
    let victim = Victim::start("");
    let mut wire = victim.connect();
    // A string that declares 99 MiB, in twelve bytes.
    let text = bytes("0b 00 01 06 30 00 00 'JFK' 00");
    wire.send_frame(&with_body(CALL, "get", 1, &text));
    assert_exception(&wire.read_frame(), "get", 1, 7, "call.bad_params");
    // A map with identical keys.
    let mut map = [&bytes("0d 00 03 0b 08")[..], &10_000_u32.to_be_bytes()].concat();
    for value in 0..10_000_u32 {
        map.extend(sized(b"same"));
        map.extend(value.to_be_bytes());
    }
    wire.send_frame(&many(2, &map));
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    // A million nested structs, in known and unknown fields.
    for (seqid, field) in [(3, "0c 00 04"), (4, "0c 00 09")] {
        let begin = bytes(field);
        let inside = bytes("0c 00 01").repeat(1_000_000);
        wire.send_frame(&many(seqid, &[&begin[..], &inside].concat()));
        assert_exception(&wire.read_frame(), "many", seqid, 7, "call.bad_params");
    }
    assert_serves(&mut wire);
}
