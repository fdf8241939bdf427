//! Messages written byte by byte from the specifications of the protocols.

use bytes::BytesMut;
use thrift::protocol::TMessageType;

use super::sample::{self, CHOICE, ECHO, ONE_OF_EACH, POINT, record};
use super::{Protocol, Transport, WireFormat, call, hex, receive, wire_format, wire_formats};
use crate::error::Code;
use crate::idl::{StructId, Type};
use crate::thrift::{Body, HeadOut, Limits, decode_struct, write_message};
use crate::value::Value;

#[track_caller]
fn check(wire_format: WireFormat, id: StructId, values: &[(&str, Value)], expected: &str) {
    let schema = sample::schema(false);
    let record = record(&schema, id, values);
    let expected = hex(expected);
    assert_eq!(call(&schema, id, &record, wire_format), expected);
    let (head, value) = receive(&schema, id, wire_format, &expected).expect("readable");
    assert_eq!(
        (head.name.as_str(), head.kind, head.sequence),
        ("echo", TMessageType::Call, 7)
    );
    assert_eq!(value, record);
}

#[test]
fn point_in_every_wire_format() {
    let point = [("x", 1.into()), ("y", (-2).into())];
    let binary = "08 0001 00000001  08 0002 fffffffe  00";
    let compact = "15 02  15 03  00";
    let strict = format!("80010001 00000004 6563686f 00000007 {binary}");
    let old = format!("00000004 6563686f 01 00000007 {binary}");
    let compact = format!("82 21 07 04 6563686f {compact}");
    check(
        wire_format(Transport::Unframed, Protocol::Binary),
        POINT,
        &point,
        &strict,
    );
    check(
        wire_format(Transport::Unframed, Protocol::BinaryOld),
        POINT,
        &point,
        &old,
    );
    check(
        wire_format(Transport::Unframed, Protocol::Compact),
        POINT,
        &point,
        &compact,
    );
    check(
        wire_format(Transport::Framed, Protocol::Binary),
        POINT,
        &point,
        &format!("0000001f {strict}"),
    );
    check(
        wire_format(Transport::Framed, Protocol::BinaryOld),
        POINT,
        &point,
        &format!("0000001c {old}"),
    );
    check(
        wire_format(Transport::Framed, Protocol::Compact),
        POINT,
        &point,
        &format!("0000000d {compact}"),
    );
}

#[test]
fn one_of_each() {
    let schema = sample::schema(false);
    let values = [
        ("number", (-1).into()),
        ("hue", "red".into()),
        ("uuid", Value::Uuid(*b"0123456789abcdef")),
        (
            "empties",
            Value::List(vec![record(&schema, sample::EMPTY, &[]); 2]),
        ),
        ("counts", Value::Map(vec![])),
        ("bit", true.into()),
        ("choice", record(&schema, CHOICE, &[("text", "t".into())])),
        ("short_", 64.into()),
    ];
    check(
        wire_format(Transport::Unframed, Protocol::Binary),
        ONE_OF_EACH,
        &values,
        "80010001 00000004 6563686f 00000007
         08 0001 ffffffff
         0b 0002 00000003 726564
         10 0003 30313233343536373839616263646566
         0f 0004 0c 00000002 00 00
         0d 0006 0b 0a 00000000
         02 0007 01
         0c 0008 0b 0001 00000001 74 00
         06 0009 0040
         00",
    );
    check(
        wire_format(Transport::Unframed, Protocol::Compact),
        ONE_OF_EACH,
        &values,
        "82 21 07 04 6563686f
         15 01
         18 03 726564
         1d 30313233343536373839616263646566
         19 2c 00 00
         2b 00
         11
         1c 18 01 74 00
         14 8001
         00",
    );
}

/// Reads a `OneOfEach` from a compact body.
fn compact(body: &str) -> Result<Value, crate::thrift::WireError> {
    let schema = sample::schema(false);
    decode_struct(
        &schema,
        ONE_OF_EACH,
        Protocol::Compact,
        &hex(body),
        &Limits::default(),
    )
}

#[test]
fn compact_field_ids_in_both_forms() {
    // Field 3 as a delta of three, and with its id written out.
    let uuid = "30313233343536373839616263646566";
    let short = compact(&format!("3d {uuid} 00")).expect("readable");
    let long = compact(&format!("0d 06 {uuid} 00")).expect("readable");
    assert_eq!(short, long);
    assert_eq!(short.get("uuid"), Some(&Value::Uuid(*b"0123456789abcdef")));
    // Ids may decrease, and may be negative, which the IDL does not know.
    let value = compact("1502 00").expect("readable");
    assert_eq!(compact("05 01 04  05 02 02 00").expect("readable"), value);
}

#[test]
fn compact_bool_elements_in_every_encoding() {
    let mut schema = sample::schema(false);
    schema.structs[5] = sample::struct_type(
        "golden.Bits",
        crate::idl::StructKind::Struct,
        vec![sample::field(1, "bits", sample::list(Type::Bool))],
    );
    let expected = Value::from(vec![true, false]);
    for body in ["19 21 01 02 00", "19 22 01 02 00", "19 21 01 00 00"] {
        let value = decode_struct(
            &schema,
            sample::EMPTY,
            Protocol::Compact,
            &hex(body),
            &Limits::default(),
        );
        assert_eq!(
            value.expect("readable").get("bits"),
            Some(&expected),
            "{body}"
        );
    }
}

#[test]
fn unset_fields_take_their_default_or_are_null() {
    let value = compact("00").expect("readable");
    assert_eq!(value.get("hue"), Some(&"blue".into()));
    assert_eq!(value.get("number"), Some(&Value::Null));
}

#[test]
fn unknown_fields_and_wrong_types_are_skipped() {
    // number: 1; field 2 as i64; field 20: true; field 21: map<i8, list<double>>; bit: true
    let value =
        compact("15 02  16 02  05 28 00  01 2a  0b 2c 01 39 03 17 000000000000f83f  01 0e  00")
            .expect("readable");
    assert_eq!(value.get("number"), Some(&1.into()));
    assert_eq!(value.get("hue"), Some(&"blue".into()));
    assert_eq!(value.get("bit"), Some(&true.into()));
}

#[test]
fn strings_are_slices_of_the_message() {
    let schema = sample::schema(false);
    let body = hex("0b 0002 00000003 726564 00");
    let value = decode_struct(
        &schema,
        ONE_OF_EACH,
        Protocol::Binary,
        &body,
        &Limits::default(),
    );
    let Ok(Value::Record(record)) = value else {
        panic!("a record");
    };
    let Some(Value::Text(text)) = record.get("hue") else {
        panic!("text");
    };
    assert_eq!(text.as_bytes().as_ptr(), body[7..].as_ptr());
}

#[test]
fn values_that_do_not_fit_write_nothing() {
    let schema = sample::schema(false);
    let wrong = [
        record(&schema, POINT, &[]),
        record(&schema, POINT, &[("x", "one".into())]),
        record(&schema, POINT, &[("x", (1_i64 << 31).into())]),
        record(&schema, ECHO, &[("n", 1.into())])
            .get("n")
            .cloned()
            .expect("there"),
        Value::Null,
    ];
    for wire_format in wire_formats() {
        for record in &wrong {
            let mut out = BytesMut::from(&b"before"[..]);
            let head = HeadOut {
                name: "echo",
                kind: TMessageType::Call,
                sequence: 1,
            };
            let body = Body::Params {
                schema: &schema,
                id: POINT,
                record,
            };
            let err =
                write_message(&mut out, wire_format, head, body).expect_err("must not be written");
            assert_eq!(err.code, Code::ServerInternal);
            assert_eq!(&out[..], b"before");
        }
    }
}

#[test]
fn unions_have_exactly_one_field() {
    let schema = sample::schema(false);
    for body in ["00", "18 01 74 16 02 00", "68 01 74 00"] {
        let err = decode_struct(
            &schema,
            CHOICE,
            Protocol::Compact,
            &hex(body),
            &Limits::default(),
        )
        .expect_err("none, two, one unknown");
        assert_eq!(err.code, Code::WireInvalid, "{body}");
    }
    let record = record(&schema, CHOICE, &[]);
    let mut out = BytesMut::new();
    let head = HeadOut {
        name: "echo",
        kind: TMessageType::Call,
        sequence: 1,
    };
    let body = Body::Params {
        schema: &schema,
        id: CHOICE,
        record: &record,
    };
    write_message(&mut out, wire_formats()[0], head, body).expect_err("an empty union");
}
