//! THeader frames: written out by hand, by Apache's Python library, and by the malicious.

use std::io::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use thrift::protocol::TMessageType;

use super::sample::{self, EMPTY, record};
use super::{Framer, Limits, Protocol, Transport, call, hex, wire_format};
use crate::error::Code;
use crate::thrift::{Body, HeadOut, Header, HeaderOut, WireError, read_head, write_message_with};

/// A oneway call of `ping("hi")`, as Apache's Python library wrote it.
const PING: &str = "80010004 00000004 70696e67 00000000 0b0001 00000002 6869 00";
const PING_COMPACT: &str = "8281 00 04 70696e67 18 02 6869 00";

/// A frame of sequence id 9 with that header and message, each in hex digits.
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

/// A framer that was given `bytes`, and what it said.
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
        let header = framer.header().expect("a frame with one");
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
        // One frame's own pair of the same name goes before.
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
fn what_is_written_is_laid_out_as_the_format_says() {
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
    let header = framer.header().expect("a frame with one");
    assert_eq!((header.sequence(), header.text("k")), (-2, Some("value")));
}

#[test]
fn headers_that_no_frame_can_hold_leave_nothing_behind() {
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

#[test]
fn blocks_that_nobody_knows_are_stepped_over() {
    for head in [
        "00 00 05 ff ff ff ff",
        "00 00 00 ff",
        "00 00 01 00 7f",
        "00 00 ff ff ff 0f",
    ] {
        let (framer, message) = framed(&frame(head, PING), Limits::default());
        assert_eq!(message, Ok(Some(hex(PING))), "{head}");
        assert!(
            framer
                .header()
                .is_some_and(|header| header.headers().is_empty())
        );
    }
}

#[test]
fn hostile_headers_are_refused() {
    // Numbers without end, or that end too late.
    refused("ff ff ff ff ff ff ff ff", Code::WireInvalid);
    refused("00 ff ff ff ff ff 00 00", Code::WireInvalid);
    refused("00 00 01 ff ff ff ff 7f", Code::WireInvalid);
    refused("80 80 80 80", Code::WireTruncated);
    // Counts without bytes: of transforms, of pairs, of a text's bytes.
    refused("00 7f 00 00", Code::WireTruncated);
    refused("00 00 01 ff ff ff ff 0f", Code::WireTruncated);
    refused("00 00 01 03 01 61 01 62", Code::WireTruncated);
    refused("00 00 01 01 7f 61 01 62", Code::WireTruncated);
    refused("00 00 02 01 01 61 7f 62", Code::WireTruncated);
    // Nothing at all.
    refused("", Code::WireTruncated);
    // A header larger than its frame, and a frame too short for its fixed part.
    for bytes in [
        "0000000e 0fff 0000 00000009 0002 00 00 00 00",
        "0000000a 0fff 0000 00000009 ffff",
        "00000009 0fff 0000 00000009 00",
        "00000002 0fff",
    ] {
        let (_, message) = framed(&hex(bytes), Limits::default());
        assert_eq!(
            message.map_err(|err| err.code),
            Err(Code::WireTruncated),
            "{bytes}"
        );
    }
}

#[test]
fn pairs_are_bounded_in_count_and_bytes() {
    let with_pairs = |block: u8, count: u16, value_bytes: usize| {
        let mut head = vec![0, 0, block];
        head.extend(if count < 128 {
            vec![u8::try_from(count).expect("below 128")]
        } else {
            vec![
                count.to_le_bytes()[0] | 0x80,
                u8::try_from(count >> 7).expect("small"),
            ]
        });
        for at in 0..count {
            let at = at.to_be_bytes();
            // Lengths below 128, and those of two bytes.
            head.extend([2, at[0], at[1]]);
            head.extend([
                value_bytes.to_le_bytes()[0] | 0x80,
                u8::try_from(value_bytes >> 7).expect("small"),
            ]);
            head.extend(vec![b'v'; value_bytes]);
        }
        head.resize(head.len().next_multiple_of(4), 0);
        let (_, message) = framed(&frame_of(&head, &hex(PING)), Limits::default());
        message.map(drop).map_err(|err| err.code)
    };
    assert_eq!(with_pairs(1, 128, 10), Ok(()));
    assert_eq!(with_pairs(1, 129, 10), Err(Code::WireFrameTooLarge));
    assert_eq!(with_pairs(2, 128, 10), Ok(()));
    assert_eq!(with_pairs(2, 129, 10), Err(Code::WireFrameTooLarge));
    // 64 KiB in one frame, 8 KiB of what is kept.
    assert_eq!(with_pairs(1, 60, 1000), Ok(()));
    assert_eq!(with_pairs(1, 70, 1000), Err(Code::WireFrameTooLarge));
    assert_eq!(with_pairs(2, 8, 1000), Ok(()));
    assert_eq!(with_pairs(2, 9, 1000), Err(Code::WireFrameTooLarge));
}

#[test]
fn a_frame_that_cannot_be_opened_leaves_the_stream_in_step() {
    let bad = [
        ("00 01 01", Code::WireUnknownTransform, "zlib"),
        ("00 01 02 04", Code::WireUnknownTransform, "HMAC"),
        ("00 01 03", Code::WireUnknownTransform, "snappy"),
        ("00 01 63", Code::WireUnknownTransform, "transform 99"),
        ("00 02 01 01", Code::WireUnknownTransform, "more than one"),
        ("01 00", Code::WireUnknownProtocol, "protocol 1"),
        ("03 00", Code::WireUnknownProtocol, "protocol 3"),
    ];
    for (head, code, words) in bad {
        let mut buffer = BytesMut::from(&[frame(head, PING), frame("00 00", PING)].concat()[..]);
        let mut framer = Framer::new(Limits::default());
        let err = framer.next(&mut buffer).expect_err("can't be opened");
        assert_eq!((err.code, err.is_of_frame()), (code, true), "{head}");
        assert!(err.detail.contains(words), "{head}: {err}");
        assert_eq!(framer.header().map(Header::sequence), Some(9));
        assert_eq!(framer.next(&mut buffer), Ok(Some(hex(PING))), "{head}");
    }
}

#[test]
fn zlib_is_taken_where_it_is_enabled_up_to_its_limit() {
    let deflated = |bytes: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("a vector takes all");
        encoder.finish().expect("a vector takes all")
    };
    let message = hex(PING);
    let bytes = frame_of(&hex("00 01 01 00"), &deflated(&message));
    for (inflated_bytes_max, expected) in [
        (message.len(), Ok(Some(message.clone()))),
        (message.len() - 1, Err(Code::WireFrameTooLarge)),
        (0, Err(Code::WireUnknownTransform)),
    ] {
        let limits = Limits {
            inflated_bytes_max,
            ..Limits::default()
        };
        let (_, got) = framed(&bytes, limits);
        assert_eq!(got.map_err(|err| err.code), expected);
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_sequence_id() {
    let limits = Limits {
        frame_bytes_max: 40,
        ..Limits::default()
    };
    let whole = frame("00 00", PING);
    let mut long = frame("00 00", &"00".repeat(60));
    long[11] = 7;
    for before in [&[][..], &whole] {
        let mut framer = Framer::new(limits);
        let mut buffer = BytesMut::from(before);
        if !before.is_empty() {
            assert_eq!(framer.next(&mut buffer), Ok(Some(hex(PING))));
        }
        for byte in &long[..11] {
            buffer.put_u8(*byte);
            assert_eq!(framer.next(&mut buffer), Ok(None), "{buffer:02x?}");
        }
        buffer.put_u8(long[11]);
        let err = framer.next(&mut buffer).expect_err("over the limit");
        assert_eq!(err.code, Code::WireFrameTooLarge);
        assert_eq!(framer.header().map(Header::sequence), Some(7));
        assert!(framer.wire_format() == Some(wire_format(Transport::Header, Protocol::Binary)));
    }
    // What is no such frame is refused as that.
    let mut framer =
        Framer::with_wire_format(wire_format(Transport::Header, Protocol::Binary), limits);
    long[5] = 0;
    let err = framer
        .next(&mut BytesMut::from(&long[..]))
        .expect_err("no magic number");
    assert_eq!(err.code, Code::WireInvalid);
}

#[test]
fn a_frame_without_a_header_on_a_connection_with_headers_ends_it() {
    let schema = sample::schema(false);
    let none = record(&schema, EMPTY, &[]);
    let plain = call(
        &schema,
        EMPTY,
        &none,
        wire_format(Transport::Framed, Protocol::Binary),
    );
    let mut buffer = BytesMut::from(&[&frame("00 00", PING)[..], &plain].concat()[..]);
    let mut framer = Framer::new(Limits::default());
    assert!(framer.next(&mut buffer).expect("readable").is_some());
    let err = framer.next(&mut buffer).expect_err("no magic number");
    assert_eq!((err.code, err.is_of_frame()), (Code::WireInvalid, false));
}
