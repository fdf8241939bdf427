//! Tells right replies from wrong ones, byte by byte.

use bytes::Bytes;

use super::calls::{Encoded, EncodedCalls, read_lines};
use super::check::{Checker, Wrong};
use crate::cli::{error::Reason, method::ResolvedMethod, testing::schema};
use crate::thrift::{
    Body, HeadOut, Protocol, Transport, WireError, WireFormat, read_head, write_message,
};
use crate::value::{FieldNames, Record, Value};
use bytes::BytesMut;
use thrift::ApplicationErrorKind;
use thrift::protocol::TMessageType;

const IDL: &str = r#"
include "tributary.thrift"
struct Page { 1: optional string text, 2: optional tributary.Report report }
service Pages {
  Page get(1: string id) throws (1: tributary.LookupFailed failed)
  void touch(1: string id)
}
"#;

fn found(method: &str) -> ResolvedMethod {
    ResolvedMethod::of(&schema(IDL), 0, method).expect("in the IDL")
}

fn wire_format(protocol: Protocol) -> WireFormat {
    WireFormat {
        transport: Transport::Framed,
        protocol,
    }
}

fn params(found: &ResolvedMethod, id: &str) -> Value {
    Value::Record(Record {
        names: found.schema.get(found.method().params).names.clone(),
        values: vec![Value::from(id)],
    })
}

fn calls(found: &ResolvedMethod, protocol: Protocol) -> EncodedCalls {
    let params = [params(found, "a"), params(found, "b")];
    EncodedCalls::encode(found, (wire_format(protocol), &[]), &params).expect("it encodes")
}

/// A page whose report is `report`, which is none of the IDL's and need not be: it is not encoded.
fn page(found: &ResolvedMethod, text: &str) -> Value {
    let names: &FieldNames = &found.schema.get(result_id(found)).names;
    Value::Record(Record {
        names: names.clone(),
        values: vec![Value::from(text), Value::Null],
    })
}

fn result_id(found: &ResolvedMethod) -> crate::idl::StructId {
    match found.method().result {
        Some(crate::idl::Type::Struct(id)) => id,
        _ => panic!("a struct"),
    }
}

/// The sequence id of a call.
fn sequence(protocol: Protocol, call: &Encoded) -> i32 {
    read_head(protocol, &call.reply_head)
        .expect("a head")
        .0
        .sequence
}

fn message(protocol: Protocol, head: HeadOut<'_>, body: Body<'_>) -> Result<Bytes, WireError> {
    let mut out = BytesMut::new();
    let bare = WireFormat {
        transport: Transport::Unframed,
        protocol,
    };
    write_message(&mut out, bare, head, body)?;
    Ok(out.freeze())
}

/// The checker's verdict on a reply of `get` with the one field `(id, value)`.
fn checked(
    protocol: Protocol,
    verify: bool,
    field: &(i16, Value),
    shift: i32,
) -> Result<(), Wrong> {
    let found = found("get");
    let calls = calls(&found, protocol);
    let checker = Checker::new(
        ResolvedMethod::of(&found.schema, 0, "get").expect("it"),
        protocol,
        verify,
    );
    let call = calls.get(0);
    let method = found.method();
    let ty = match field.0 {
        0 => method.result.as_ref().expect("it returns"),
        _ => &method.throws[0].ty,
    };
    let head = HeadOut {
        name: "get",
        kind: TMessageType::Reply,
        sequence: sequence(protocol, call) + shift,
    };
    let body = Body::Fields {
        schema: &found.schema,
        fields: &[(field.0, ty, &field.1)],
    };
    checker.check(call, &message(protocol, head, body).expect("it encodes"))
}

#[test]
fn results_are_right_in_every_protocol() {
    let found = found("get");
    for &protocol in Protocol::ALL {
        for verify in [false, true] {
            assert_eq!(
                checked(protocol, verify, &(0, page(&found, "x")), 0),
                Ok(())
            );
        }
    }
}

#[test]
fn an_exception_is_counted_by_name_and_code() {
    let found = found("get");
    let id = found.schema.standard.lookup_failed.expect("included");
    let names = found.schema.get(id).names.clone();
    let mut values = vec![Value::Null; names.len()];
    values[0] = Value::from("call.required_empty");
    values[1] = Value::from("something");
    let thrown = Value::Record(Record { names, values });
    for &protocol in Protocol::ALL {
        let Err(Wrong::Answer(kind)) = checked(protocol, false, &(1, thrown.clone()), 0) else {
            panic!("an exception is no result")
        };
        assert_eq!(kind, "tributary.LookupFailed (call.required_empty)");
    }
}

#[test]
fn an_application_exception_is_counted_by_its_code_alone() {
    let found = found("get");
    for &protocol in Protocol::ALL {
        let calls = calls(&found, protocol);
        let checker = Checker::new(
            ResolvedMethod::of(&found.schema, 0, "get").expect("it"),
            protocol,
            false,
        );
        let call = calls.get(1);
        let head = HeadOut {
            name: "get",
            kind: TMessageType::Exception,
            sequence: sequence(protocol, call),
        };
        let body = Body::ApplicationError {
            kind: ApplicationErrorKind::InternalError,
            message: "server.overloaded: 17 calls",
        };
        let said = checker.check(call, &message(protocol, head, body).expect("it encodes"));
        let kind = "server.overloaded";
        assert_eq!(said, Err(Wrong::Answer(kind.into())));
    }
}

#[test]
fn another_calls_reply_is_a_stray() {
    let found = found("get");
    for &protocol in Protocol::ALL {
        let said = checked(protocol, false, &(0, page(&found, "x")), 1);
        let kind = "a reply with another sequence id";
        assert_eq!(said, Err(Wrong::Stray(kind.into())));
    }
}

#[test]
fn an_empty_result_of_a_void_method_is_right() {
    let found = found("touch");
    for &protocol in Protocol::ALL {
        let calls = calls(&found, protocol);
        let checker = Checker::new(
            ResolvedMethod::of(&found.schema, 0, "touch").expect("it"),
            protocol,
            false,
        );
        let call = calls.get(5);
        let reply = [&call.reply_head[..], &[0]].concat();
        assert_eq!(checker.check(call, &reply.into()), Ok(()));
    }
    let said = checked_cut(&found);
    assert!(matches!(said, Err(Wrong::Stray(_))), "{said:?}");
}

/// A reply that ends before its body.
fn checked_cut(found: &ResolvedMethod) -> Result<(), Wrong> {
    let calls = calls(found, Protocol::Binary);
    let checker = Checker::new(
        ResolvedMethod::of(&found.schema, 0, "touch").expect("it"),
        Protocol::Binary,
        false,
    );
    let call = calls.get(0);
    checker.check(call, &call.reply_head.clone())
}

#[test]
fn verifying_compares_replies_of_the_same_parameters_only() {
    let found = found("get");
    let calls = calls(&found, Protocol::Binary);
    let checker = Checker::new(
        ResolvedMethod::of(&found.schema, 0, "get").expect("it"),
        Protocol::Binary,
        true,
    );
    let reply = |at: usize, text: &str| {
        let call = calls.get(at);
        let head = HeadOut {
            name: "get",
            kind: TMessageType::Reply,
            sequence: sequence(Protocol::Binary, call),
        };
        let body = Body::Fields {
            schema: &found.schema,
            fields: &[(
                0,
                found.method().result.as_ref().expect("it"),
                &page(&found, text),
            )],
        };
        checker.check(
            call,
            &message(Protocol::Binary, head, body).expect("it encodes"),
        )
    };
    assert_eq!(reply(0, "of a"), Ok(()));
    assert_eq!(reply(1, "of b"), Ok(()));
    assert_eq!(reply(2, "of a"), Ok(()));
    let Err(Wrong::Answer(kind)) = reply(3, "of a") else {
        panic!("it differs")
    };
    assert_eq!(
        kind,
        "the reply differs from the first one for the same parameters"
    );
}

#[test]
fn a_file_of_parameters_is_read_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ids.jsonl");
    let found = found("get");
    std::fs::write(&path, "{\"id\": \"a\"}\n\n{\"id\": \"b\"}\n").expect("written");
    let read = read_lines(&found, &path).expect("two lines");
    assert_eq!(read, [params(&found, "a"), params(&found, "b")]);
    for (text, says) in [
        (
            "{\"id\": \"a\"}\n{\"idd\": 1}\n",
            "ids.jsonl, line 2: the method has no parameter `idd`",
        ),
        ("{\"id\": \"a\"\n", "ids.jsonl, line 1: not JSON"),
        ("\n", "has no lines"),
    ] {
        std::fs::write(&path, text).expect("written");
        let failure = read_lines(&found, &path).expect_err("it is wrong");
        let Reason::One { message, .. } = failure.reason else {
            panic!("one reason")
        };
        assert!(message.contains(says), "{message}");
    }
}
