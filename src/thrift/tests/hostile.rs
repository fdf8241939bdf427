//! Messages made to hurt: each is refused by name, at once, and costs no more than its own bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::sample::{self, EMPTY, NODE, ONE_OF_EACH};
use super::{Framer, Limits, Protocol, Transport, hex, wire_formats};
use crate::error::Code;
use crate::idl::{Schema, StructId, StructKind, Type};
use crate::thrift::{DEPTH_CEILING, WireError, decode_struct, read_head};
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

/// A body is refused with `code`, whether its fields are known or unknown.
#[track_caller]
fn refused(protocol: Protocol, body: &str, code: Code) {
    for id in [ONE_OF_EACH, EMPTY] {
        let err = decode(id, protocol, &hex(body)).expect_err("must be refused");
        assert_eq!(err.code, code, "{body}: {err}");
    }
}

/// The same bytes end an unframed stream, or leave it waiting for what can still come.
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
fn list_of_structs_declares_100_million() {
    refused(Protocol::Binary, "0f 0004 0c 05f5e100", Code::WireTruncated);
    refused(Protocol::Compact, "49 fc 80c2d72f", Code::WireTruncated);
    stream_refused(
        Protocol::Binary,
        "0f 0004 0c 05f5e100",
        Code::WireFrameTooLarge,
    );
    stream_refused(Protocol::Compact, "49 fc 80c2d72f", Code::WireFrameTooLarge);
}

#[test]
fn list_declares_all_that_31_bits_hold() {
    refused(Protocol::Binary, "0f 0005 0b 7fffffff", Code::WireTruncated);
    refused(Protocol::Compact, "59 f8 ffffffff07", Code::WireTruncated);
    stream_refused(
        Protocol::Binary,
        "0f 0005 0b 7fffffff",
        Code::WireFrameTooLarge,
    );
    stream_refused(
        Protocol::Compact,
        "59 f8 ffffffff07",
        Code::WireFrameTooLarge,
    );
}

#[test]
fn list_declares_less_than_nothing() {
    refused(Protocol::Binary, "0f 0005 0b ffffffff", Code::WireInvalid);
    refused(Protocol::Compact, "59 f8 ffffffff0f", Code::WireInvalid);
    stream_refused(Protocol::Binary, "0f 0005 0b ffffffff", Code::WireInvalid);
    stream_refused(Protocol::Compact, "59 f8 ffffffff0f", Code::WireInvalid);
}

#[test]
fn string_declares_100_million() {
    refused(Protocol::Binary, "0b 0002 05f5e100", Code::WireTruncated);
    refused(Protocol::Compact, "28 80c2d72f", Code::WireTruncated);
    stream_refused(
        Protocol::Binary,
        "0b 0002 05f5e100",
        Code::WireFrameTooLarge,
    );
    stream_refused(Protocol::Compact, "28 80c2d72f", Code::WireFrameTooLarge);
}

#[test]
fn string_declares_one_more_than_there_is() {
    refused(
        Protocol::Binary,
        "0b 0002 00000003 7265",
        Code::WireTruncated,
    );
    refused(Protocol::Compact, "28 03 7265", Code::WireTruncated);
}

#[test]
fn string_declares_less_than_nothing() {
    refused(Protocol::Binary, "0b 0002 ffffffff", Code::WireInvalid);
    refused(Protocol::Compact, "28 ffffffff0f", Code::WireInvalid);
    stream_refused(Protocol::Binary, "0b 0002 ffffffff", Code::WireInvalid);
    stream_refused(Protocol::Compact, "28 ffffffff0f", Code::WireInvalid);
}

#[test]
fn map_declares_too_much_or_less_than_nothing() {
    refused(
        Protocol::Binary,
        "0d 0006 0b 0a 05f5e100",
        Code::WireTruncated,
    );
    refused(
        Protocol::Binary,
        "0d 0006 0b 0a 80000000",
        Code::WireInvalid,
    );
    refused(Protocol::Compact, "6b 80c2d72f 86", Code::WireTruncated);
    refused(Protocol::Compact, "6b ffffffff0f 86", Code::WireInvalid);
    stream_refused(
        Protocol::Binary,
        "0d 0006 0b 0a 05f5e100",
        Code::WireFrameTooLarge,
    );
    stream_refused(Protocol::Compact, "6b ffffffff0f 86", Code::WireInvalid);
}

/// `unit` over and over.
fn nested(unit: &str, times: usize) -> Bytes {
    hex(unit).repeat(times).into()
}

#[test]
fn structs_nested_200_000_deep() {
    for (protocol, unit) in [(Protocol::Binary, "0c 0001"), (Protocol::Compact, "1c")] {
        let body = nested(unit, 200_000);
        for id in [NODE, EMPTY] {
            assert_eq!(
                decode(id, protocol, &body).expect_err("too deep").code,
                Code::WireTooDeep
            );
        }
        assert_eq!(
            stream(protocol, &body).expect_err("too deep").code,
            Code::WireTooDeep
        );
    }
}

#[test]
fn lists_nested_100_000_deep() {
    for (protocol, head, unit) in [
        (Protocol::Binary, "0f 0063", "0f 00000001"),
        (Protocol::Compact, "09 c601", "19"),
    ] {
        let body: Bytes = [hex(head), nested(unit, 100_000)].concat().into();
        assert_eq!(
            decode(EMPTY, protocol, &body).expect_err("too deep").code,
            Code::WireTooDeep
        );
        assert_eq!(
            stream(protocol, &body).expect_err("too deep").code,
            Code::WireTooDeep
        );
    }
}

#[test]
fn depth_counts_structs_and_containers_from_the_parameters_on() {
    // A node in a list in a node: the innermost is level three.
    let body = hex("29 1c 00 00");
    let schema = sample::schema(false);
    for (depth_max, fits) in [(3, true), (2, false)] {
        let limits = Limits {
            depth_max,
            ..Limits::default()
        };
        for id in [NODE, EMPTY] {
            let got = decode_struct(&schema, id, Protocol::Compact, &body, &limits);
            assert_eq!(got.is_ok(), fits, "{depth_max}: {got:?}");
        }
        let mut buffer = BytesMut::from(&[&hex("82 21 00 01 74")[..], &body].concat()[..]);
        assert_eq!(Framer::new(limits).next(&mut buffer).is_ok(), fits);
    }
}

#[test]
fn the_deepest_that_can_be_allowed_fits_on_a_small_stack() {
    let limits = Limits {
        depth_max: usize::MAX,
        ..Limits::default()
    };
    let read = move |levels: usize| {
        let body: Bytes = [nested("1c", levels - 1), nested("00", levels)]
            .concat()
            .into();
        decode_struct(
            &sample::schema(false),
            NODE,
            Protocol::Compact,
            &body,
            &limits,
        )
        .map(drop)
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let (deepest, deeper) = thread
        .spawn(move || (read(DEPTH_CEILING), read(DEPTH_CEILING + 1)))
        .expect("a thread")
        .join()
        .expect("no overflow");
    assert_eq!(deepest, Ok(()));
    assert_eq!(deeper.expect_err("too deep").code, Code::WireTooDeep);
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
        // Where nobody reads it as text, it is only bytes.
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
    // One of another wire type is as good as missing.
    decode(sample::POINT, Protocol::Compact, &hex("16 02 00")).expect_err("an i64 is no i32");
}

#[test]
fn elements_of_another_type_are_refused() {
    let err =
        decode(ONE_OF_EACH, Protocol::Compact, &hex("59 15 02 00")).expect_err("i32 for string");
    assert_eq!(err.code, Code::WireInvalid);
    // An empty container may call its elements what it likes.
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
fn numbers_that_never_end_or_do_not_fit() {
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
fn a_million_empty_structs_cost_no_gigabytes() {
    // Two bytes of body each would become two million values of some fifty bytes.
    let mut body = BytesMut::from(&hex("0f 0004 0c 00200000")[..]);
    body.put_bytes(0, 0x0020_0000);
    body.put_u8(0);
    let body = body.freeze();
    for id in [ONE_OF_EACH, EMPTY] {
        let err = decode(id, Protocol::Binary, &body).expect_err("too many values");
        assert_eq!(err.code, Code::WireFrameTooLarge);
    }
    // Cutting it out of a stream costs nothing but time in proportion to the bytes.
    assert!(
        stream(Protocol::Binary, &body)
            .expect("in wire format")
            .is_some()
    );
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
    // One byte each, and a hundred words where that byte says that there are none.
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
fn heads_of_another_protocol_or_kind() {
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
    // A stream that leaves its wire format ends.
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
