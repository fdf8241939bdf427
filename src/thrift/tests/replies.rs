//! Replies, exceptions and application errors in every wire format.

use bytes::{Bytes, BytesMut};
use thrift::ApplicationErrorKind;
use thrift::protocol::TMessageType;

use super::sample::{self, POINT, record};
use super::{Limits, Protocol, Transport, WireFormat, hex, wire_format, wire_formats};
use crate::idl::{Schema, Type};
use crate::thrift::{
    Body, HeadOut, decode_application_error, decode_result, read_head, write_message,
};
use crate::value::Value;

fn reply(wire_format: WireFormat, schema: &Schema, fields: &[(i16, &Type, &Value)]) -> Bytes {
    let mut out = BytesMut::new();
    let head = HeadOut {
        name: "echo",
        kind: TMessageType::Reply,
        sequence: -1,
    };
    write_message(&mut out, wire_format, head, Body::Fields { schema, fields })
        .expect("values that fit");
    out.freeze()
}

#[test]
fn replies_carry_success_or_an_exception_or_nothing() {
    let schema = sample::schema(false);
    let point = record(&schema, POINT, &[("x", 3.into())]);
    let (success, thrown) = (Type::Bool, Type::Struct(POINT));
    let types = [(0, &success), (1, &thrown)];
    for wire_format in wire_formats() {
        for expected in [
            Some((0, Value::Bool(false))),
            Some((1, point.clone())),
            None,
        ] {
            let null = Value::Null;
            let value = |id| match &expected {
                Some((have, value)) if *have == id => value,
                _ => &null,
            };
            let bytes = reply(
                wire_format,
                &schema,
                &[(0, &success, value(0)), (1, &thrown, value(1))],
            );
            let message = super::first(&bytes).expect("valid").expect("whole");
            let (head, body) = read_head(wire_format.protocol, &message).expect("a head");
            assert_eq!((head.kind, head.sequence), (TMessageType::Reply, -1));
            let result = decode_result(
                &schema,
                &types,
                wire_format.protocol,
                &body,
                &Limits::default(),
            );
            assert_eq!(result.expect("readable"), expected);
        }
    }
}

#[test]
fn a_compact_bool_result_has_its_id_written_out() {
    let schema = sample::schema(false);
    let bytes = reply(
        wire_format(Transport::Unframed, Protocol::Compact),
        &schema,
        &[(0, &Type::Bool, &true.into())],
    );
    assert_eq!(bytes, hex("82 41 ffffffff0f 04 6563686f  01 00  00"));
}

#[test]
fn application_errors() {
    for wire_format in wire_formats() {
        let mut out = BytesMut::from(&b"before"[..]);
        let head = HeadOut {
            name: "",
            kind: TMessageType::Exception,
            sequence: 0,
        };
        let body = Body::ApplicationError {
            kind: ApplicationErrorKind::ProtocolError,
            message: "call.bad_params: no",
        };
        write_message(&mut out, wire_format, head, body).expect("writable");
        let written = out.split_off(6);
        assert_eq!(&out[..], b"before");
        let message = super::Framer::with_wire_format(wire_format, Limits::default())
            .next(&mut BytesMut::from(&written[..]))
            .expect("valid")
            .expect("whole");
        let (head, body) = read_head(wire_format.protocol, &message).expect("a head");
        assert_eq!(
            (head.kind, head.name.as_str()),
            (TMessageType::Exception, "")
        );
        let (kind, message) =
            decode_application_error(wire_format.protocol, &body, &Limits::default())
                .expect("readable");
        assert_eq!((kind, message.as_str()), (7, "call.bad_params: no"));
    }
}
