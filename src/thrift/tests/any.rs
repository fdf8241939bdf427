//! `tributary.Value` in both protocols, compared with bytes written by hand.

use bytes::{Bytes, BytesMut};

use crate::idl::{self, Schema, StructId, StructKind, Type};
use crate::thrift::any_value::{BINARY, BOOL, DOUBLE, I64, LIST, MAP, NULL, STRING};
use crate::thrift::binary::Strict;
use crate::thrift::{
    Codec as _, Limits, Protocol, WireError, decode_result, decode_struct, encode::Encoder,
    with_codec,
};
use crate::value::{FieldNames, Record, Value};

const PROTOCOLS: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

/// `value` as field 0 of a struct.
fn written(protocol: Protocol, value: &Value) -> Bytes {
    let schema = Schema::default();
    let mut out = BytesMut::new();
    let fields = [(0, &Type::Any, value)];
    let written =
        with_codec!(protocol, C => Encoder::new(&schema, C::writer(&mut out)).fields(&fields));
    written.expect("it can be written");
    out.freeze()
}

fn read(protocol: Protocol, body: &Bytes, limits: &Limits) -> Result<Value, WireError> {
    let schema = Schema::default();
    let found = decode_result(&schema, &[(0, &Type::Any)], protocol, body, limits)?;
    Ok(found.expect("a field").1)
}

#[track_caller]
fn check(value: impl Into<Value>, back: &Value) {
    let value = value.into();
    for protocol in PROTOCOLS {
        let body = written(protocol, &value);
        let again = read(protocol, &body, &Limits::default());
        assert_eq!(again.as_ref(), Ok(back), "{protocol:?}");
    }
}

fn same(value: impl Into<Value>) {
    let value = value.into();
    check(value.clone(), &value);
}

/// The field ids here are those of the union in the standard include.
#[test]
fn the_fields_are_those_of_the_standard_include() {
    let schema = idl::standard();
    let value = |of: &&idl::StructType| &*of.name == "tributary.Value";
    let of = schema.structs.iter().find(value).expect("the union");
    assert_eq!(of.kind, StructKind::Union);
    let null = schema
        .structs
        .iter()
        .position(|of| &*of.name == "tributary.Null");
    let null = StructId(u32::try_from(null.expect("it is declared")).expect("few structs"));
    assert!(schema.get(null).fields.is_empty());
    let types: Vec<(i16, Type)> = (of.fields.iter())
        .map(|field| (field.id, field.ty.clone()))
        .collect();
    let expected = [
        (NULL, Type::Struct(null)),
        (BOOL, Type::Bool),
        (I64, Type::I64),
        (DOUBLE, Type::Double),
        (STRING, Type::String),
        (BINARY, Type::Binary),
        (LIST, Type::List(Type::Any.into())),
        (MAP, Type::Map(Type::String.into(), Type::Any.into())),
    ];
    assert_eq!(types, expected);
}

#[test]
fn each_kind_comes_back() {
    same(Value::Null);
    same(true);
    same(false);
    same(i64::MIN);
    same(-0.5);
    same("é");
    same(Value::Bytes(Bytes::from_static(b"\xff\x00")));
    same(Value::List(vec![
        Value::Null,
        true.into(),
        Value::List(vec![]),
    ]));
    same(Value::Map(vec![
        ("a".into(), Value::Null),
        ("b".into(), 1.into()),
    ]));
}

#[test]
fn types_without_their_own_field_use_another() {
    let uuid = Value::Uuid([0x1f; 16]);
    check(uuid, &"1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f".into());
    let record = Value::Record(Record {
        names: FieldNames::new(["a", "unset", "b"]),
        values: vec![1.into(), Value::Null, "x".into()],
    });
    check(
        record,
        &Value::Map(vec![("a".into(), 1.into()), ("b".into(), "x".into())]),
    );
    let entry = Value::Map(vec![
        ("key".into(), 7.into()),
        ("value".into(), true.into()),
    ]);
    check(
        Value::Map(vec![(7.into(), true.into())]),
        &Value::List(vec![entry]),
    );
}

#[test]
fn the_bytes_are_those_of_the_union() {
    let value = Value::List(vec![5.into(), Value::Null]);
    let binary = [
        &[12, 0, 0][..],                     // field 0: a struct, the union
        &[15, 0, 7, 12, 0, 0, 0, 2],         // field 7: a list of two structs
        &[10, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5], // field 3: an i64
        &[0],
        &[12, 0, 1, 0], // field 1: an empty struct
        &[0, 0, 0],
    ];
    assert_eq!(written(Protocol::Binary, &value), binary.concat());
}

#[test]
fn invalid_unions_are_refused() {
    let refused = |bytes: &[u8]| {
        let body = Bytes::copy_from_slice(bytes);
        let read = read(Protocol::Binary, &body, &Limits::default());
        read.expect_err("it is invalid").detail
    };
    let unset = refused(&[12, 0, 0, 0, 0]);
    assert!(unset.contains("has no field set"), "{unset}");
    let both = refused(&[12, 0, 0, 2, 0, 2, 1, 2, 0, 2, 1, 0, 0]);
    assert!(both.contains("several fields"), "{both}");
    let unknown = refused(&[12, 0, 0, 2, 0, 9, 1, 0, 0]);
    assert!(unknown.contains("has no field 9"), "{unknown}");
    let of_another_type = refused(&[12, 0, 0, 2, 0, 3, 1, 0, 0]);
    assert!(
        of_another_type.contains("no field 3 of type"),
        "{of_another_type}"
    );
    let within = refused(&[12, 0, 0, 15, 0, 7, 12, 0, 0, 0, 2, 2, 0, 2, 1, 0, 0, 0, 0]);
    assert!(within.starts_with("element 1: "), "{within}");
    let numbers = refused(&[
        12, 0, 0, 15, 0, 7, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    assert!(numbers.contains("are not `tributary.Value`"), "{numbers}");
    // More elements than bytes.
    let endless = refused(&[12, 0, 0, 15, 0, 7, 12, 127, 255, 255, 255]);
    assert!(endless.contains("bytes are left"), "{endless}");
}

#[test]
fn depth_and_number_are_bounded() {
    let mut deep = Value::Null;
    for _ in 0..40 {
        deep = Value::List(vec![deep]);
    }
    let wide = Value::List(vec![Value::Null; 100]);
    for protocol in PROTOCOLS {
        let code = |value: &Value, limits: Limits| {
            let read = read(protocol, &written(protocol, value), &limits);
            read.map(drop).map_err(|err| err.code.as_str())
        };
        assert_eq!(code(&deep, Limits::default()), Err("wire.too_deep"));
        let deeper = Limits {
            depth_max: 200,
            ..Limits::default()
        };
        assert_eq!(code(&deep, deeper), Ok(()));
        let few = Limits {
            values_max: 99,
            ..Limits::default()
        };
        assert_eq!(code(&wide, few), Err("wire.frame_too_large"));
    }
    // Nesting beyond the ceiling is not written either.
    for _ in 0..300 {
        deep = Value::List(vec![deep]);
    }
    let schema = Schema::default();
    let mut out = BytesMut::new();
    let fields = [(0, &Type::Any, &deep)];
    let written = Encoder::new(&schema, Strict::writer(&mut out)).fields(&fields);
    assert!(written.is_err());
}

/// Null is a value: a null result is not a missing result. A null field is an unset field.
#[test]
fn a_null_is_written_where_it_is_the_result() {
    for protocol in PROTOCOLS {
        assert!(written(protocol, &Value::Null).len() > 1);
    }
    let schema = idl::standard();
    let tributary = schema.service("Tributary").expect("it is declared");
    let fetch = tributary.method("fetch").expect("it is declared");
    let body = Bytes::from_static(&[
        13, 0, 2, 11, 12, 0, 0, 0, 1, 0, 0, 0, 1, b'a', 12, 0, 1, 0, 0, 0,
    ]);
    let params = decode_struct(
        schema,
        fetch.params,
        Protocol::Binary,
        &body,
        &Limits::default(),
    );
    let params = params.expect("parameters");
    let pair = ("a".into(), Value::Null);
    assert_eq!(params.get("params"), Some(&Value::Map(vec![pair])));
}
