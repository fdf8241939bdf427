//! `THeader` frames byte by byte over a real socket, and connections that are not Thrift.
//!
//! The Python clients ([`crate::clients`]) cover headers written by libraries.

mod replies;

use crate::support::airports::airports;
use crate::support::message::message;
use crate::support::{Wire, bytes};

pub(crate) const CALL: u8 = 1;

/// The header of a frame with these pairs.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> String {
    let text = |text: &str| format!("{:02x} '{text}'", text.len());
    let pair = |(name, value): &(&str, &str)| format!("{} {}", text(name), text(value));
    let all: Vec<String> = pairs.iter().map(pair).collect();
    format!("00 00 01 {:02x} {}", pairs.len(), all.join(" "))
}

/// A frame with this sequence id, header and message.
pub(crate) fn frame(sequence: u8, header: &str, message: &[u8]) -> Vec<u8> {
    let mut header = bytes(header);
    header.resize(header.len().next_multiple_of(4), 0);
    let words = u8::try_from(header.len() / 4).expect("a short header");
    let fixed = [
        &[0x0f, 0xff, 0, 0, 0, 0, 0, sequence, 0, words][..],
        &header,
    ]
    .concat();
    let len = u32::try_from(fixed.len() + message.len()).expect("a short frame");
    [&len.to_be_bytes()[..], &fixed, message].concat()
}

/// The message and the pairs of the next frame, which must have this sequence id and protocol.
#[track_caller]
pub(crate) fn read(
    wire: &mut Wire,
    sequence: u8,
    protocol: u8,
) -> (Vec<u8>, Vec<(String, String)>) {
    let reply = wire.read_frame();
    let fixed = [0x0f, 0xff, 0, 0, 0, 0, 0, sequence];
    assert_eq!(reply[..fixed.len()], fixed, "{reply:02x?}");
    let words = u16::from_be_bytes([reply[8], reply[9]]);
    let (header, message) = reply[10..].split_at(usize::from(words) * 4);
    // The protocol, no transforms, one block of pairs, and the least possible padding.
    let [of, 0, 1, count, pairs @ ..] = header else {
        panic!("{header:02x?}");
    };
    assert_eq!(*of, protocol, "{header:02x?}");
    let mut rest = pairs;
    let mut text = || {
        let mut len = 0;
        for shift in [0, 7, 14] {
            let byte = *rest.split_off_first().expect("a length");
            len |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let text = rest.split_off(..len).expect("as long as it says");
        String::from_utf8(text.to_vec()).expect("text")
    };
    let pairs = (0..*count).map(|_| (text(), text())).collect();
    assert!(
        rest.len() < 4 && rest.iter().all(|byte| *byte == 0),
        "{rest:?}"
    );
    (message.to_vec(), pairs)
}

/// The message of the next frame, which must have this sequence id and be binary.
#[track_caller]
fn read_message(wire: &mut Wire, sequence: u8) -> Vec<u8> {
    read(wire, sequence, 0).0
}

#[track_caller]
fn assert_says(reply: &[u8], words: &str) {
    let text = String::from_utf8_lossy(reply);
    assert!(text.contains(words), "expected {words}: {text}");
}

#[test]
fn a_reply_repeats_the_sequence_id_of_its_frame_and_that_of_its_message() {
    let server = airports();
    let mut wire = server.connect();
    for (in_frame, in_message) in [(3, 4), (5, 5)] {
        let call = message(CALL, "get", in_message, "JFK");
        wire.send(&frame(in_frame, "00 00 01 01 03 'any' 04 'pair'", &call));
        let reply = read_message(&mut wire, in_frame);
        let head = [
            &bytes("80 01 00 02 00 00 00 03 'get'")[..],
            &in_message.to_be_bytes(),
        ]
        .concat();
        assert_eq!(reply[..head.len()], head, "{reply:02x?}");
        assert_says(&reply, "Kennedy");
    }
    // The next frame may use a different protocol; so does its reply.
    wire.send(&frame(
        6,
        "02 00",
        &bytes("82 21 01 03 'get' 18 03 'LAX' 00"),
    ));
    let (reply, _) = read(&mut wire, 6, 2);
    let head = bytes("82 41 01 03 'get'");
    assert_eq!(reply[..head.len()], head, "{reply:02x?}");
    assert_says(&reply, "Los Angeles");
}

#[test]
fn the_callers_budget_is_read_from_a_header() {
    let server = airports();
    let mut wire = server.connect();
    let slow = message(CALL, "slow", 1, "JFK");
    wire.send(&frame(1, "00 00 01 01 0f 'deadline-budget' 01 '1'", &slow));
    assert_says(&read_message(&mut wire, 1), "call.deadline");
    wire.send(&frame(2, "00 00 01 01 0f 'Deadline-Budget' 01 '-'", &slow));
    assert_says(&read_message(&mut wire, 2), "Kennedy");
    // A persistent one, and one for a single frame.
    wire.send(&frame(3, "00 00 02 01 0f 'deadline-budget' 01 '1'", &slow));
    assert_says(&read_message(&mut wire, 3), "call.deadline");
    wire.send(&frame(4, "00 00", &slow));
    assert_says(&read_message(&mut wire, 4), "call.deadline");
    wire.send(&frame(
        5,
        "00 00 01 01 0f 'deadline-budget' 05 '90000'",
        &slow,
    ));
    assert_says(&read_message(&mut wire, 5), "Kennedy");
}

#[test]
fn a_call_whose_time_is_over_is_refused_before_its_parameters_are_read() {
    let server = airports();
    let mut wire = server.connect();
    let unreadable = &message(CALL, "get", 1, "JFK")[..20];
    wire.send(&frame(
        1,
        "00 00 01 01 0f 'deadline-budget' 01 '0'",
        unreadable,
    ));
    assert_says(&read_message(&mut wire, 1), "call.deadline");
    wire.send(&frame(2, "00 00", unreadable));
    assert_says(&read_message(&mut wire, 2), "call.bad_params");
}

#[test]
fn a_frame_that_cannot_be_opened_is_answered_and_the_connection_stays_open() {
    let server = airports();
    let mut wire = server.connect();
    let get = message(CALL, "get", 1, "JFK");
    wire.send(&frame(1, "00 01 01", b"zlib data, or not"));
    let reply = read_message(&mut wire, 1);
    assert_says(&reply, "wire.unknown_transform");
    assert!(
        reply.ends_with(&bytes("08 00 02 00 00 00 08 00")),
        "{reply:02x?}"
    );
    wire.send(&frame(2, "01 00", b"[1,\"get\",1,0,{}]"));
    let reply = read_message(&mut wire, 2);
    assert_says(&reply, "wire.unknown_protocol");
    assert!(
        reply.ends_with(&bytes("08 00 02 00 00 00 09 00")),
        "{reply:02x?}"
    );
    wire.send(&frame(3, "00 00", &get));
    assert_says(&read_message(&mut wire, 3), "Kennedy");
    // A header with a wrong size closes the connection.
    wire.send(&bytes("00 00 00 0a 0f ff 00 00 00 00 00 04 ff ff"));
    assert_eq!(wire.read_to_end(), b"");
}

#[test]
fn finagle_asks_for_its_tracing_protocol_and_continues_without() {
    let server = airports();
    let mut wire = server.connect();
    let name = "__can__finagle__trace__v3__";
    let ask = [
        &bytes("80 01 00 01 00 00 00 1b")[..],
        name.as_bytes(),
        &bytes("00 00 00 00 00"),
    ]
    .concat();
    wire.send_frame(&ask);
    let reply = wire.read_frame();
    let head = [&bytes("80 01 00 03 00 00 00 1b")[..], name.as_bytes()].concat();
    assert_eq!(reply[..head.len()], head, "{reply:02x?}");
    assert!(
        reply.ends_with(&bytes("08 00 02 00 00 00 01 00")),
        "{reply:02x?}"
    );
    wire.send_frame(&message(CALL, "get", 1, "JFK"));
    assert_says(&wire.read_frame(), "Kennedy");
}

#[test]
fn connections_that_are_not_thrift_are_identified_in_the_log() {
    let strangers = [
        (
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            "a TLS handshake",
            "no TLS",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP", "`admin` port"),
        (b"POST / HTTP/1.1\r\n\r\n", "HTTP", "`admin` port"),
        (
            b"PROXY TCP4 10.0.0.1 10.0.0.2 40000 9090\r\n\x80\x01",
            "the PROXY protocol, version 1",
            "turn it off at the proxy",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c",
            "the PROXY protocol, version 2",
            "`send-proxy-v2`",
        ),
        (
            b"\x00\x00\x00\x2e\x10\x00\x00\x00\x00\x00\x00\x01",
            "TTHeader",
            "`transport.Framed`",
        ),
        (b"[1,\"get\",1,0,{}]", "the JSON protocol", "use binary"),
        (b"\x78\x9c\x01\x02", "the zlib transport", "use framed"),
        (
            b"\x01\x00\x00\x00\x05PLAIN",
            "a SASL handshake",
            "without SASL",
        ),
    ];
    for (bytes, what, remedy) in strangers {
        // Only the first of each kind is certain to be logged.
        let server = airports();
        let mut wire = server.connect();
        wire.send(bytes);
        assert_eq!(wire.read_to_end(), b"");
        let (_, log) = server.stop("TERM");
        let mut lines = log.lines().filter(|line| line.contains("bad bytes"));
        let line = lines.next().expect("a line");
        assert!(line.contains(what) && line.contains(remedy), "{line}");
        assert!(line.contains("wire.unrecognized"), "{line}");
        assert_eq!(lines.next(), None);
    }
}
