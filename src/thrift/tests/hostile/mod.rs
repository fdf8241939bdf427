//! Messages built to do harm: each is refused immediately, with a precise error, at a cost in proportion to its bytes.

mod declared; // sizes that are too large or negative
mod nesting; // structs and lists nested too deep

use bytes::{BufMut, Bytes, BytesMut};

use super::sample::{self, EMPTY, ONE_OF_EACH};
use super::{Framer, Limits, Protocol, Transport, hex, wire_formats};
use crate::error::Code;
use crate::idl::{Schema, StructId, StructKind, Type};
use crate::thrift::{WireError, decode_struct, read_head};
use crate::value::Value;

fn decode(id: StructId, protocol: Protocol, body: &Bytes) -> Result<Value, WireError> {
    decode_struct(
        &sample::schema(false),
        id,
        protocol,
        body,
        &Limits::default(),
    )
}

/// Checks that a body is refused with `code`, whether its fields are known or not.
#[track_caller]
fn refused(protocol: Protocol, body: &str, code: Code) {
    for id in [ONE_OF_EACH, EMPTY] {
        let err = decode(id, protocol, &hex(body)).expect_err("must be refused");
        assert_eq!(err.code, code, "{body}: {err}");
    }
}

/// The outcome of the same bytes in an unframed stream.
fn stream(protocol: Protocol, body: &[u8]) -> Result<Option<Bytes>, WireError> {
    let mut buffer = match protocol {
        Protocol::Binary => BytesMut::from(&hex("80010001 00000001 74 00000000")[..]),
        Protocol::BinaryOld => BytesMut::from(&hex("00000001 74 01 00000000")[..]),
        Protocol::Compact => BytesMut::from(&hex("82 21 00 01 74")[..]),
    };
    buffer.extend_from_slice(body);
    Framer::new(Limits::default()).next(&mut buffer)
}

#[track_caller]
fn stream_refused(protocol: Protocol, body: &str, code: Code) {
    let err = stream(protocol, &hex(body)).expect_err("must be refused");
    assert_eq!(err.code, code, "{body}: {err}");
}

#[test]
fn text_that_is_not_utf_8() {
    for (protocol, body) in [
        (Protocol::Binary, "0b 0002 00000002 c328 00"),
        (Protocol::Compact, "28 02 c328 00"),
    ] {
        let err = decode(ONE_OF_EACH, protocol, &hex(body)).expect_err("must be refused");
        assert_eq!(
            (err.code, err.detail.as_str()),
            (Code::WireInvalid, "field `hue`: text is not UTF-8")
        );
        // A skipped string is not checked.
        assert!(decode(EMPTY, protocol, &hex(body)).is_ok());
    }
}

#[test]
fn a_missing_required_field_is_named() {
    let err =
        decode(sample::POINT, Protocol::Compact, &hex("25 02 00")).expect_err("x is required");
    assert_eq!(err.code, Code::WireInvalid);
    assert_eq!(
        err.detail,
        "required field `x` of `golden.Point` is missing"
    );
    // A field of a different wire type counts as missing.
    decode(sample::POINT, Protocol::Compact, &hex("16 02 00")).expect_err("an i64 is no i32");
}

#[test]
fn elements_of_another_type_are_refused() {
    let err =
        decode(ONE_OF_EACH, Protocol::Compact, &hex("59 15 02 00")).expect_err("i32 for string");
    assert_eq!(err.code, Code::WireInvalid);
    // An empty container may declare any element type.
    let value = decode(ONE_OF_EACH, Protocol::Compact, &hex("59 05 00")).expect("empty");
    assert_eq!(value.get("texts"), Some(&Value::List(vec![])));
    let value = decode(
        ONE_OF_EACH,
        Protocol::Binary,
        &hex("0f 0005 00 00000000 00"),
    )
    .expect("empty");
    assert_eq!(value.get("texts"), Some(&Value::List(vec![])));
}

#[test]
fn bytes_after_the_end() {
    refused(Protocol::Binary, "00 00", Code::WireInvalid);
    refused(Protocol::Compact, "00 00", Code::WireInvalid);
}

#[test]
fn types_that_do_not_exist() {
    refused(Protocol::Binary, "05 0001 00", Code::WireInvalid);
    refused(Protocol::Compact, "1e 00", Code::WireInvalid);
    refused(
        Protocol::Binary,
        "0f 0063 05 00000001 00 00",
        Code::WireInvalid,
    );
    stream_refused(Protocol::Binary, "05 0001 00", Code::WireInvalid);
    stream_refused(Protocol::Compact, "1e 00", Code::WireInvalid);
}

#[test]
fn numbers_without_an_end_or_out_of_range() {
    refused(Protocol::Compact, "15 ffffffffffff", Code::WireInvalid);
    refused(
        Protocol::Compact,
        "06 c601 ffffffffffffffffffff01 00",
        Code::WireInvalid,
    );
    stream_refused(Protocol::Compact, "15 ffffffffffff", Code::WireInvalid);
    stream_refused(
        Protocol::Compact,
        "16 ffffffffffffffffffff01",
        Code::WireInvalid,
    );
    // 33 bits for an i32, 17 for an i16, and a field id past the last one.
    for body in ["15 ffffffff1f 00", "94 80800c 00", "03 feff03 00 13 00 00"] {
        let err = decode(ONE_OF_EACH, Protocol::Compact, &hex(body)).expect_err(body);
        assert_eq!(err.code, Code::WireInvalid, "{body}: {err}");
    }
}

#[test]
fn millions_of_empty_structs_do_not_cost_gigabytes() {
    // Two million structs of one byte each would become values of some fifty bytes each.
    let mut body = BytesMut::from(&hex("0f 0004 0c 00200000")[..]);
    body.put_bytes(0, 0x0020_0000);
    body.put_u8(0);
    let body = body.freeze();
    for id in [ONE_OF_EACH, EMPTY] {
        let err = decode(id, Protocol::Binary, &body).expect_err("too many values");
        assert_eq!(err.code, Code::WireFrameTooLarge);
    }
    // Cutting it out of a stream costs only time, in proportion to its bytes.
    assert!(stream(Protocol::Binary, &body).expect("valid").is_some());
}

#[test]
fn defaults_that_hold_many_values_are_paid_for() {
    let mut schema = sample::schema(false);
    let id = |schema: &Schema| StructId(u32::try_from(schema.structs.len() - 1).expect("few"));
    let mut words = sample::field(1, "words", sample::list(Type::String));
    words.default = Some(vec!["a"; 100].into());
    let dear = sample::struct_type("golden.Dear", StructKind::Struct, vec![words]);
    schema.structs.push(dear);
    let all = sample::list(Type::Struct(id(&schema)));
    let all = sample::field(1, "all", all);
    let many = sample::struct_type("golden.Many", StructKind::Struct, vec![all]);
    schema.structs.push(many);
    // Each element is one byte long, and its default value has a hundred words.
    for (count, fits) in [(5_000_u16, true), (20_000, false)] {
        let mut body = BytesMut::from(&hex("0f 0001 0c 0000")[..]);
        body.put_u16(count);
        body.put_bytes(0, usize::from(count) + 1);
        let limits = Limits::default();
        let decoded = decode_struct(
            &schema,
            id(&schema),
            Protocol::Binary,
            &body.freeze(),
            &limits,
        );
        match decoded {
            Ok(_) => assert!(fits),
            Err(err) => assert_eq!((err.code, fits), (Code::WireFrameTooLarge, false)),
        }
    }
}

#[test]
fn method_names_are_short_text() {
    let long = format!("80010001 00000101 {} 00000000 00", "61".repeat(257));
    for message in [long.as_str(), "80010001 00000002 c328 00000000 00"] {
        let err = read_head(Protocol::Binary, &hex(message)).expect_err("no name");
        assert_eq!(err.code, Code::WireInvalid);
    }
    let err = Framer::new(Limits::default())
        .next(&mut BytesMut::from(&hex("80010001 7fffffff 61")[..]))
        .expect_err("no name is that long");
    assert_eq!(err.code, Code::WireInvalid);
}

#[test]
fn heads_of_a_different_protocol_or_an_unknown_type() {
    for (protocol, message) in [
        (Protocol::Binary, "82 21 00 01 74 00"),
        (Protocol::Binary, "80010009 00000001 74 00000000 00"),
        (Protocol::Compact, "80010001 00000001 74 00000000 00"),
        (Protocol::Compact, "82 e1 00 01 74 00"),
        (Protocol::BinaryOld, "80010001 00000001 74 00000000 00"),
    ] {
        let err = read_head(protocol, &hex(message)).expect_err(message);
        assert_eq!(err.code, Code::WireInvalid, "{message}");
    }
    // A stream that changes its wire format ends.
    for wire_format in wire_formats()
        .iter()
        .filter(|wire_format| wire_format.transport == Transport::Unframed)
    {
        let mut framer = Framer::with_wire_format(*wire_format, Limits::default());
        framer
            .next(&mut BytesMut::from(
                &b"\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            ))
            .expect_err("no head");
    }
}
