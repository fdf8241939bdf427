//! Lengths that are too large, negative or meaningless, at the start of a connection and after a call.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{CALL, LARGE, Victim, assert_serves, beginning, long_call, message};
use crate::admin::patiently;
use crate::support::message::assert_exception;
use crate::support::{Wire, bytes};

const MIB: usize = 1 << 20;

#[test]
fn a_compressed_frame_expands_no_further_than_the_limit() {
    let victim = Victim::start(r#"inflated_bytes_max = "100B""#);
    let mut wire = victim.connect();
    let mut send = |len| {
        let code = format!("{:<len$}", "JFK");
        wire.send_frame(&deflated(&message(CALL, "get", 1, &code)));
        wire.try_read_frame()
    };
    let reply = send(3).expect("it is answered");
    assert!(String::from_utf8_lossy(&reply).contains("Kennedy"));
    let reply = send(200).expect("it is answered");
    assert!(String::from_utf8_lossy(&reply).contains("wire.frame_too_large"));
    send(3).expect_err("the connection ends");
    drop(wire);
    patiently(|| victim.closed("bad_bytes") == 1);
}

/// A THeader frame whose message is compressed.
fn deflated(message: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("a vector takes all");
    let message = encoder.finish().expect("a vector takes all");
    let head = bytes("0f ff 00 00 00 00 00 01 00 01 00 01 01 00");
    [&head[..], &message].concat()
}

#[test]
fn a_message_over_the_limit_is_refused_and_its_connection_closed() {
    let victim = Victim::start(r#"frame_bytes_max = "1MiB""#);
    let mut wire = victim.connect();
    wire.send_frame(&long_call(1, MIB));
    assert!(
        !wire.read_frame().is_empty(),
        "the limit itself is none too many"
    );
    let over = beginning(MIB + 1, &long_call(2, MIB + 1));
    wire.send(&over);
    assert_exception(&wire.read_frame(), "get", 2, 7, "wire.frame_too_large");
    assert_eq!(wire.read_to_end(), b"");
    // The same for the first message of a connection, framed or not.
    let mut wire = victim.connect();
    wire.send(&over);
    assert_exception(&wire.read_frame(), "get", 2, 7, "wire.frame_too_large");
    assert_eq!(wire.read_to_end(), b"");
    let mut wire = victim.connect();
    wire.send(&long_call(3, MIB + 1));
    let expected = message(3, "get", 3, "")[..15].to_vec();
    let reply = wire.read_to_end();
    assert_eq!(reply[..15], expected);
    assert!(String::from_utf8_lossy(&reply).contains("wire.frame_too_large"));
    victim.assert_serves();
}

#[test]
fn a_theader_frame_over_the_limit_is_refused_with_its_sequence_id() {
    let victim = Victim::start(r#"frame_bytes_max = "8KiB""#);
    let head = |sequence: u8| {
        let fixed = [0x0f, 0xff, 0, 0, 0, 0, 0, sequence, 0, 1];
        [&fixed[..], &[0, 0, 0, 0]].concat()
    };
    let get = [head(4), message(CALL, "get", 1, "JFK")].concat();
    let over = [head(5), long_call(2, 9000)].concat();
    let over = beginning(over.len(), &over);
    let assert_refused = |mut wire: Wire| {
        let reply = wire.read_frame();
        assert_eq!(reply[..8], head(5)[..8], "{reply:02x?}");
        let text = String::from_utf8_lossy(&reply);
        assert!(
            text.contains("tributary-code\u{14}wire.frame_too_large"),
            "{text}"
        );
        assert!(text.contains("wire.frame_too_large: "), "{text}");
        assert_eq!(wire.read_to_end(), b"");
    };
    // At the start, after a call, and with the length arriving alone.
    let mut wire = victim.connect();
    wire.send(&over);
    assert_refused(wire);
    let mut wire = victim.connect();
    wire.send_frame(&get);
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    wire.send(&over[..4]);
    wire.send(&over[4..]);
    assert_refused(wire);
    // Too many pairs: protocol, transforms, block, and 129 pairs of empty strings.
    let mut wire = victim.connect();
    let pairs = [&[0, 0, 1, 0x81, 0x01][..], &[0; 2 * 129 + 1]].concat();
    let many = [&head(5)[..8], &[0, 66], &pairs, &get[14..]].concat();
    wire.send_frame(&many);
    assert_refused(wire);
    let outcome = [("method", "_OTHER"), ("outcome", "wire.frame_too_large")];
    assert_eq!(victim.scrape().count("tributary_calls_total", &outcome), 3);
    patiently(|| victim.closed("bad_bytes") == 3);
}

#[test]
fn calls_before_a_message_over_the_limit_are_answered_first() {
    let victim = Victim::start(r#"frame_bytes_max = "4KiB""#);
    let mut wire = victim.connect();
    let get = message(CALL, "get", 1, "JFK");
    let sent = [
        beginning(get.len(), &get),
        beginning(5000, &long_call(2, 5000)),
        // Bytes after it are ignored.
        beginning(get.len(), &get),
    ];
    wire.send(&sent.concat());
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    assert_exception(&wire.read_frame(), "get", 2, 7, "wire.frame_too_large");
    assert_eq!(wire.read_to_end(), b"");
}

#[test]
fn a_oneway_message_over_the_limit_gets_no_reply() {
    let victim = Victim::start(r#"frame_bytes_max = "4KiB""#);
    let mut wire = victim.connect();
    let mut call = long_call(2, 5000);
    call[3] = 4;
    wire.send(&beginning(5000, &call));
    assert_eq!(wire.read_to_end(), b"");
}

#[test]
fn an_invalid_length_closes_the_connection() {
    let victim = Victim::start("");
    let after = &message(CALL, "get", 1, "JFK")[..12];
    for length in [
        "7f ff ff ff",
        "ff ff ff ff",
        "80 00 00 00",
        "'GET '",
        "00 00 00 00",
    ] {
        let sent = [&bytes(length)[..], after].concat();
        let mut first = victim.connect();
        first.send(&sent);
        assert_eq!(first.read_to_end(), b"", "{length}, first thing");
        let mut wire = victim.connect();
        assert_serves(&mut wire);
        wire.send(&sent);
        assert_eq!(wire.read_to_end(), b"", "{length}, after a call");
    }
    victim.assert_serves();
}

#[test]
fn a_reply_over_the_limit_is_an_exception() {
    let victim = Victim::start(r#"reply_bytes_max = "1MiB""#);
    let mut wire = victim.connect();
    wire.send_frame(&message(CALL, "large", 1, "BIG"));
    assert_exception(&wire.read_frame(), "large", 1, 7, "call.reply_too_large");
    assert_serves(&mut wire);
    let outcome = [("method", "large"), ("outcome", "call.reply_too_large")];
    assert_eq!(victim.scrape().count("tributary_calls_total", &outcome), 1);
    let roomy = Victim::start("");
    let mut wire = roomy.connect();
    wire.send_frame(&message(CALL, "large", 2, "BIG"));
    assert!(wire.read_frame().len() > LARGE);
}
