//! `THeader` frames that are malformed, too large, or use unsupported features.

use std::io::Write as _;

use bytes::{BufMut, BytesMut};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::sample::{self, EMPTY, record};
use super::super::{Framer, Limits, Protocol, Transport, call, hex, wire_format};
use super::{PING, frame, frame_of, framed, refused};
use crate::error::Code;
use crate::thrift::Header;

#[test]
fn unknown_blocks_are_skipped() {
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
    // Numbers without an end, or with too many bytes.
    refused("ff ff ff ff ff ff ff ff", Code::WireInvalid);
    refused("00 ff ff ff ff ff 00 00", Code::WireInvalid);
    refused("00 00 01 ff ff ff ff 7f", Code::WireInvalid);
    refused("80 80 80 80", Code::WireTruncated);
    // Counts of transforms, pairs and text bytes that exceed the header.
    refused("00 7f 00 00", Code::WireTruncated);
    refused("00 00 01 ff ff ff ff 0f", Code::WireTruncated);
    refused("00 00 01 03 01 61 01 62", Code::WireTruncated);
    refused("00 00 01 01 7f 61 01 62", Code::WireTruncated);
    refused("00 00 02 01 01 61 7f 62", Code::WireTruncated);
    // An empty header.
    refused("", Code::WireTruncated);
    // A header longer than its frame, and a frame too short for the fixed part.
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
            // Lengths of one byte and of two.
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
    // At most 64 KiB in one frame, and 8 KiB kept for the connection.
    assert_eq!(with_pairs(1, 60, 1000), Ok(()));
    assert_eq!(with_pairs(1, 70, 1000), Err(Code::WireFrameTooLarge));
    assert_eq!(with_pairs(2, 8, 1000), Ok(()));
    assert_eq!(with_pairs(2, 9, 1000), Err(Code::WireFrameTooLarge));
}

#[test]
fn the_stream_continues_after_a_frame_that_cannot_be_opened() {
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
        let err = framer.next(&mut buffer).expect_err("it cannot be opened");
        assert_eq!((err.code, err.is_of_frame()), (code, true), "{head}");
        assert!(err.detail.contains(words), "{head}: {err}");
        assert_eq!(framer.header().map(Header::sequence), Some(9));
        assert_eq!(framer.next(&mut buffer), Ok(Some(hex(PING))), "{head}");
    }
}

#[test]
fn zlib_is_accepted_up_to_its_limit_if_enabled() {
    let deflated = |bytes: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder
            .write_all(bytes)
            .expect("writing to a vector cannot fail");
        encoder.finish().expect("writing to a vector cannot fail")
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
fn a_frame_over_the_limit_is_refused_once_its_sequence_id_is_known() {
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
    // A frame without the magic number is refused for that.
    let mut framer =
        Framer::with_wire_format(wire_format(Transport::Header, Protocol::Binary), limits);
    long[5] = 0;
    let err = framer
        .next(&mut BytesMut::from(&long[..]))
        .expect_err("no magic number");
    assert_eq!(err.code, Code::WireInvalid);
}

#[test]
fn a_frame_without_a_header_ends_a_theader_connection() {
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
