//! `THeader` frames, written by hand and by Apache's Python library.

mod hostile; // written by attackers

use bytes::{BufMut, Bytes, BytesMut};
use thrift::protocol::TMessageType;

use super::sample::{self, EMPTY, record};
use super::{Framer, Limits, Protocol, Transport, hex, wire_format};
use crate::error::Code;
use crate::thrift::{Body, HeadOut, Header, HeaderOut, WireError, read_head, write_message_with};

/// A oneway call of `ping("hi")`, as Apache's Python library wrote it.
const PING: &str = "80010004 00000004 70696e67 00000000 0b0001 00000002 6869 00";
const PING_COMPACT: &str = "8281 00 04 70696e67 18 02 6869 00";

/// A frame with sequence id 9 and this header and message, both in hex digits.
fn frame(header: &str, message: &str) -> Vec<u8> {
    let mut header = hex(header).to_vec();
    header.resize(header.len().next_multiple_of(4), 0);
    frame_of(&header, &hex(message))
}

fn frame_of(header: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32(u32::try_from(10 + header.len() + message.len()).expect("short"));
    out.put_slice(&hex("0fff 0000 00000009"));
    out.put_u16(u16::try_from(header.len() / 4).expect("short"));
    out.put_slice(header);
    out.put_slice(message);
    out
}

/// A framer that was given `bytes`, and its result.
fn framed(bytes: &[u8], limits: Limits) -> (Framer, Result<Option<Bytes>, WireError>) {
    let mut framer = Framer::new(limits);
    let message = framer.next(&mut BytesMut::from(bytes));
    (framer, message)
}

#[track_caller]
fn refused(header: &str, code: Code) {
    let (_, message) = framed(&frame(header, PING), Limits::default());
    assert_eq!(message.map_err(|err| err.code), Err(code), "{header}");
}

fn pairs(header: &Header) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = header.headers().iter();
    all.map(|(key, value)| (text(key), text(value))).collect()
}

#[test]
fn a_frame_with_pairs_byte_by_byte() {
    let wanted = [
        ("00 00", Protocol::Binary, PING),
        ("02 00", Protocol::Compact, PING_COMPACT),
    ];
    for (head, protocol, message) in wanted {
        let bytes = frame(&format!("{head} 01 02 01 61 03 787979 02 6263 00"), message);
        let mut framer = Framer::new(Limits::default());
        let mut buffer = BytesMut::new();
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(framer.next(&mut buffer), Ok(None), "byte {at}");
            buffer.put_u8(*byte);
        }
        let message = framer.next(&mut buffer).expect("readable").expect("whole");
        assert_eq!(
            framer.wire_format(),
            Some(wire_format(Transport::Header, protocol))
        );
        let header = framer.header().expect("a header");
        assert_eq!(header.sequence(), 9);
        let expected = [("a", "xyy"), ("bc", "")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(pairs(header), expected);
        assert_eq!((header.text("A"), header.get("c")), (Some("xyy"), None));
        let (head, _) = read_head(protocol, &message).expect("a head");
        assert_eq!(
            (head.name.as_str(), head.kind),
            ("ping", TMessageType::OneWay)
        );
    }
}

#[test]
fn an_old_message_in_a_frame_with_a_header() {
    let (framer, message) = framed(
        &frame("00 00", "00000004 70696e67 04 00000000 00"),
        Limits::default(),
    );
    assert_eq!(
        framer.wire_format().map(|wire_format| wire_format.protocol),
        Some(Protocol::BinaryOld)
    );
    let message = message.expect("readable").expect("whole");
    let (head, _) = read_head(Protocol::BinaryOld, &message).expect("a head");
    assert_eq!(head.name.as_str(), "ping");
}

#[test]
fn persistent_pairs_hold_for_the_frames_that_follow() {
    let mut framer = Framer::new(Limits::default());
    let mut buffer = BytesMut::new();
    let frames = [
        // A pair of the frame itself takes precedence over one of the same name.
        (
            "00 00 02 02 01 61 01 31 01 62 01 32 01 01 01 61 01 33",
            "a",
            Some("3"),
        ),
        ("02 00", "a", Some("1")),
        ("00 00 02 01 01 61 01 34", "a", Some("4")),
        ("00 00", "b", Some("2")),
        ("00 00 01 01 01 63 01 35", "c", Some("5")),
        ("00 00", "c", None),
    ];
    for (head, name, value) in frames {
        let message = if head.starts_with("02") {
            PING_COMPACT
        } else {
            PING
        };
        buffer.extend_from_slice(&frame(head, message));
        assert!(framer.next(&mut buffer).expect("readable").is_some());
        assert_eq!(
            framer.header().and_then(|header| header.text(name)),
            value,
            "{head}"
        );
    }
}

#[test]
fn a_written_header_has_the_specified_layout() {
    let schema = sample::schema(false);
    let none = record(&schema, EMPTY, &[]);
    let mut out = BytesMut::new();
    let head = HeadOut {
        name: "f",
        kind: TMessageType::Reply,
        sequence: 3,
    };
    let body = Body::Params {
        schema: &schema,
        id: EMPTY,
        record: &none,
    };
    let header = HeaderOut {
        sequence: -2,
        pairs: &[("k", b"value"), ("n", b"")],
    };
    let compact = wire_format(Transport::Header, Protocol::Compact);
    write_message_with(&mut out, compact, head, body, header).expect("values that fit");
    let expected = "00000020 0fff 0000 fffffffe 0004
        02 00 01 02 01 6b 05 76616c7565 01 6e 00 00
        82 41 03 01 66 00";
    assert_eq!(out, hex(expected).slice(..));
    let (framer, message) = framed(&out, Limits::default());
    assert_eq!(message, Ok(Some(hex("82 41 03 01 66 00"))));
    let header = framer.header().expect("a header");
    assert_eq!((header.sequence(), header.text("k")), (-2, Some("value")));
}

#[test]
fn a_header_too_long_for_a_frame_writes_nothing() {
    let schema = sample::schema(false);
    let none = record(&schema, EMPTY, &[]);
    let mut out = BytesMut::from("before");
    let long = vec![b'x'; 4 * 65_535];
    let head = HeadOut {
        name: "f",
        kind: TMessageType::Call,
        sequence: 3,
    };
    let body = Body::Params {
        schema: &schema,
        id: EMPTY,
        record: &none,
    };
    let header = HeaderOut {
        sequence: 3,
        pairs: &[("k", &long)],
    };
    let binary = wire_format(Transport::Header, Protocol::Binary);
    let err = write_message_with(&mut out, binary, head, body, header).expect_err("too long");
    assert_eq!((err.code, &out[..]), (Code::ServerInternal, &b"before"[..]));
}
