//! Detecting the wire format from the first bytes, and cutting messages out of streams that arrive in any pieces.

use bytes::{Bytes, BytesMut};

use super::sample::{self, ECHO, record};
use super::{
    Framer, Limits, Protocol, Transport, WireFormat, call, first, hex, wire_format, wire_formats,
};
use crate::error::Code;
use crate::thrift::detect::detect;

fn wire_format_of(digits: &str) -> Result<Option<WireFormat>, (Code, String)> {
    detect(&hex(digits), &Limits::default()).map_err(|err| (err.code, err.detail))
}

#[test]
fn the_wire_format_is_detected_from_the_fewest_bytes() {
    let expected = [
        ("8001", wire_format(Transport::Unframed, Protocol::Binary)),
        ("8221", wire_format(Transport::Unframed, Protocol::Compact)),
        ("8281", wire_format(Transport::Unframed, Protocol::Compact)),
        (
            "00000008 74",
            wire_format(Transport::Unframed, Protocol::BinaryOld),
        ),
        (
            "00000015 8001",
            wire_format(Transport::Framed, Protocol::Binary),
        ),
        (
            "00000015 8241",
            wire_format(Transport::Framed, Protocol::Compact),
        ),
        (
            "00000023 0fff",
            wire_format(Transport::Header, Protocol::Binary),
        ),
        (
            "00000015 00000004",
            wire_format(Transport::Framed, Protocol::BinaryOld),
        ),
    ];
    for (digits, wire_format) in expected {
        assert_eq!(wire_format_of(digits), Ok(Some(wire_format)), "{digits}");
        let bytes = hex(digits);
        for end in 0..bytes.len() {
            assert_eq!(
                detect(&bytes[..end], &Limits::default()),
                Ok(None),
                "{end} of {digits}"
            );
        }
    }
}

#[test]
fn other_protocols_are_refused_by_name() {
    let looks = [
        ("1603", "a TLS handshake"),
        ("47", "HTTP"),
        ("504f", "HTTP"),
        ("5052 49", "HTTP"),
        ("5052 4f50", "HTTP"),
        ("5052 4f58 5920", "the PROXY protocol, version 1"),
        (
            "0d0a0d0a 000d0a51 5549540a",
            "the PROXY protocol, version 2",
        ),
        ("48", "HTTP"),
        ("5b", "the JSON protocol"),
        ("78", "the zlib transport"),
        ("01000000 05", "a SASL handshake"),
        ("00000023 0ffe", "no known"),
        ("00000023 1000", "TTHeader"),
        ("7fffffff 1000", "no known"),
        ("3fffffff 1000", "TTHeader"),
        ("00000023 1001", "no known"),
        ("00000023 5b", "the JSON protocol"),
        ("ff", "no known transport and protocol: ff"),
        ("8002", "no known"),
        ("8222", "no known"),
        ("00000000", "no known"),
        ("00000015 8101", "no known"),
        ("00000015 8002", "no known"),
        ("00000015 00000015", "no known"),
        ("00000215 74", "no known"),
    ];
    for (digits, words) in looks {
        let (code, detail) = wire_format_of(digits).expect_err(digits);
        assert_eq!(code, Code::WireUnrecognized, "{digits}");
        assert!(detail.contains(words), "{digits}: {detail}");
    }
}

#[test]
fn a_frame_larger_than_the_limit_is_refused_by_its_length() {
    // The next byte or two show whether a Thrift client sent it. If so, the client gets a reply.
    assert_eq!(
        wire_format_of("00fa0001"),
        Ok(None),
        "one more than 16 384 000"
    );
    assert_eq!(wire_format_of("00fa0001 80"), Ok(None));
    for client in ["00fa0001 8001", "0fffffff 8001"] {
        let framed = Ok(Some(wire_format(Transport::Framed, Protocol::Binary)));
        assert_eq!(wire_format_of(client), framed, "{client}");
    }
    for stranger in ["00fa0001 00", "00fa0001 8002", "00fa0001 829c"] {
        let (code, _) = wire_format_of(stranger).expect_err(stranger);
        assert_eq!(code, Code::WireFrameTooLarge, "{stranger}");
    }
    assert_eq!(
        wire_format_of("00fa0000 8001"),
        Ok(Some(wire_format(Transport::Framed, Protocol::Binary)))
    );

    let mut framer = Framer::with_wire_format(wire_formats()[0], Limits::default());
    let err = framer
        .next(&mut BytesMut::from(&hex("7fffffff")[..]))
        .expect_err("too large");
    assert_eq!(err.code, Code::WireFrameTooLarge);
    for length in ["00000000", "ffffffff"] {
        let mut framer = Framer::with_wire_format(wire_formats()[0], Limits::default());
        let err = framer
            .next(&mut BytesMut::from(&hex(length)[..]))
            .expect_err("no length");
        assert_eq!(err.code, Code::WireInvalid);
    }
}

fn messages(wire_format: WireFormat) -> Vec<Bytes> {
    let schema = sample::schema(false);
    let all = sample::all(&schema);
    let params = [
        record(&schema, ECHO, &[]),
        record(&schema, ECHO, &[("all", all), ("n", 42.into())]),
        record(&schema, ECHO, &[("n", (-1).into())]),
    ];
    params
        .iter()
        .map(|params| call(&schema, ECHO, params, wire_format))
        .collect()
}

/// A message as the framer returns it.
fn without_length(wire_format: WireFormat, message: &Bytes) -> Bytes {
    match wire_format.transport {
        Transport::Framed => message.slice(4..),
        Transport::Unframed => message.clone(),
        Transport::Header => message.slice(18..),
    }
}

#[test]
fn one_byte_at_a_time() {
    for wire_format in wire_formats() {
        let messages = messages(wire_format);
        let mut framer = Framer::new(Limits::default());
        let mut buffer = BytesMut::new();
        for message in &messages {
            for (at, byte) in message.iter().enumerate() {
                buffer.extend_from_slice(&[*byte]);
                let got = framer.next(&mut buffer).expect("valid");
                if at + 1 < message.len() {
                    assert_eq!(got, None, "{wire_format}, byte {at}");
                    assert!(!buffer.is_empty());
                } else {
                    assert_eq!(
                        got,
                        Some(without_length(wire_format, message)),
                        "{wire_format}"
                    );
                    assert!(buffer.is_empty());
                }
            }
        }
        assert_eq!(framer.wire_format(), Some(wire_format));
    }
}

#[test]
fn many_messages_in_one_read() {
    for wire_format in wire_formats() {
        let messages = messages(wire_format);
        let mut framer = Framer::new(Limits::default());
        let mut buffer: BytesMut = messages.concat().as_slice().into();
        for message in &messages {
            let got = framer.next(&mut buffer).expect("valid");
            assert_eq!(
                got,
                Some(without_length(wire_format, message)),
                "{wire_format}"
            );
        }
        assert_eq!(framer.next(&mut buffer), Ok(None));
        assert!(buffer.is_empty());
    }
}

#[test]
fn an_unframed_message_has_the_same_limit() {
    for &protocol in Protocol::ALL {
        let wire_format = wire_format(Transport::Unframed, protocol);
        let message = &messages(wire_format)[1];
        for (bytes_max, fits) in [(message.len(), true), (message.len() - 1, false)] {
            let limits = Limits {
                frame_bytes_max: bytes_max,
                ..Limits::default()
            };
            // The outcome is the same whether it arrives whole or byte by byte.
            let at_once = Framer::with_wire_format(wire_format, limits)
                .next(&mut BytesMut::from(&message[..]));
            let mut framer = Framer::with_wire_format(wire_format, limits);
            let mut buffer = BytesMut::new();
            let trickled = message.iter().find_map(|byte| {
                buffer.extend_from_slice(&[*byte]);
                framer.next(&mut buffer).transpose()
            });
            for got in [at_once.transpose(), trickled] {
                match got.expect("an answer") {
                    Ok(got) => assert!(fits && got == *message, "{wire_format}"),
                    Err(err) => {
                        assert!(!fits, "{wire_format}: {err}");
                        assert_eq!(err.code, Code::WireFrameTooLarge);
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_past_the_limit_make_no_difference() {
    // A number in the first message ends past the limit, and is invalid.
    let stream = hex("82 21 00 01 74 15 ffff ffffffff");
    let limits = Limits {
        frame_bytes_max: 8,
        ..Limits::default()
    };
    let mut framer =
        Framer::with_wire_format(wire_format(Transport::Unframed, Protocol::Compact), limits);
    let err = framer
        .next(&mut BytesMut::from(&stream[..]))
        .expect_err("too large");
    assert_eq!(err.code, Code::WireFrameTooLarge);
}

#[test]
fn declared_sizes_reserve_nothing() {
    let mut buffer = BytesMut::from(&hex("00f00000 8001")[..]);
    let before = buffer.capacity();
    let mut framer = Framer::new(Limits::default());
    assert_eq!(framer.next(&mut buffer), Ok(None));
    assert_eq!(buffer.capacity(), before);
    assert_eq!(
        first(&hex("80010001 00000001 74 00000000 0b0001 00f00000")),
        Ok(None)
    );
}
