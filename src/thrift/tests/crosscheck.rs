//! Compares this codec with Apache's Rust library: both write the same bytes, and each reads the other's.

use bytes::BytesMut;
use proptest::prelude::*;
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TMessageType, TOutputProtocol, TSetIdentifier, TStructIdentifier, TType,
};
use uuid::Uuid;

use super::entropy::Entropy;
use super::{Limits, Protocol, Transport, call, wire_format};
use crate::idl::{Schema, StructId, Type};
use crate::thrift::fuzz::apache::{ApacheReader, ApacheWriter};
use crate::thrift::wire_type::wire_type;
use crate::thrift::{Codec as _, with_codec};
use crate::value::{Record, Value};

/// Writes through Apache's trait, as generated code does.
fn write(
    out: &mut dyn TOutputProtocol,
    schema: &Schema,
    ty: &Type,
    value: &Value,
) -> thrift::Result<()> {
    let number = |value: &Value| match value {
        Value::I64(number) => *number,
        other => panic!("{}", other.kind()),
    };
    match (ty, value) {
        (Type::Bool, Value::Bool(bit)) => out.write_bool(*bit),
        (Type::I8, value) => out.write_i8(number(value).try_into().expect("an i8")),
        (Type::I16, value) => out.write_i16(number(value).try_into().expect("an i16")),
        (Type::I32 | Type::Enum(_), value) => {
            out.write_i32(number(value).try_into().expect("an i32"))
        }
        (Type::I64, value) => out.write_i64(number(value)),
        (Type::Double, Value::Double(double)) => out.write_double(*double),
        (Type::String, value) => out.write_string(value.as_str().expect("text")),
        (Type::Binary, Value::Bytes(bytes)) => out.write_bytes(bytes),
        (Type::Uuid, Value::Uuid(uuid)) => out.write_uuid(&Uuid::from_bytes(*uuid)),
        (Type::Struct(id), Value::Record(record)) => write_struct(out, schema, *id, record),
        (Type::List(of), Value::List(values)) => {
            out.write_list_begin(&TListIdentifier::new(wire_type(of), count(values.len())))?;
            values
                .iter()
                .try_for_each(|value| write(out, schema, of, value))?;
            out.write_list_end()
        }
        (Type::Set(of), Value::List(values)) => {
            out.write_set_begin(&TSetIdentifier::new(wire_type(of), count(values.len())))?;
            values
                .iter()
                .try_for_each(|value| write(out, schema, of, value))?;
            out.write_set_end()
        }
        (Type::Map(key, of), Value::Map(pairs)) => {
            out.write_map_begin(&TMapIdentifier::new(
                wire_type(key),
                wire_type(of),
                count(pairs.len()),
            ))?;
            for (this, value) in pairs {
                write(out, schema, key, this)?;
                write(out, schema, of, value)?;
            }
            out.write_map_end()
        }
        (Type::Any, value) => write_any(out, schema, value),
        (ty, value) => panic!("{} for {ty:?}", value.kind()),
    }
}

/// The types of the fields of `tributary.Value`, by id from 1; the first is an empty struct.
fn any_fields() -> [Option<Type>; 8] {
    [
        None,
        Some(Type::Bool),
        Some(Type::I64),
        Some(Type::Double),
        Some(Type::String),
        Some(Type::Binary),
        Some(Type::List(Type::Any.into())),
        Some(Type::Map(Type::String.into(), Type::Any.into())),
    ]
}

fn write_any(out: &mut dyn TOutputProtocol, schema: &Schema, value: &Value) -> thrift::Result<()> {
    let at: u8 = match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::I64(_) => 2,
        Value::Double(_) => 3,
        Value::Text(_) => 4,
        Value::Bytes(_) => 5,
        Value::List(_) => 6,
        _ => 7,
    };
    let ty = &any_fields()[usize::from(at)];
    let wire = ty.as_ref().map_or(TType::Struct, wire_type);
    out.write_struct_begin(&TStructIdentifier::new("ignored"))?;
    out.write_field_begin(&TFieldIdentifier::new("ignored", wire, i16::from(at) + 1))?;
    match ty {
        Some(ty) => write(out, schema, ty, value)?,
        None => {
            out.write_struct_begin(&TStructIdentifier::new("ignored"))?;
            out.write_field_stop()?;
            out.write_struct_end()?;
        }
    }
    out.write_field_end()?;
    out.write_field_stop()?;
    out.write_struct_end()
}

fn write_struct(
    out: &mut dyn TOutputProtocol,
    schema: &Schema,
    id: StructId,
    record: &Record,
) -> thrift::Result<()> {
    out.write_struct_begin(&TStructIdentifier::new("ignored"))?;
    for (field, value) in schema.get(id).fields.iter().zip(&record.values) {
        if !value.is_null() {
            out.write_field_begin(&TFieldIdentifier::new(
                "ignored",
                wire_type(&field.ty),
                field.id,
            ))?;
            write(out, schema, &field.ty, value)?;
            out.write_field_end()?;
        }
    }
    out.write_field_stop()?;
    out.write_struct_end()
}

fn read(input: &mut dyn TInputProtocol, schema: &Schema, ty: &Type) -> thrift::Result<Value> {
    Ok(match ty {
        Type::Bool => input.read_bool()?.into(),
        Type::I8 => i64::from(input.read_i8()?).into(),
        Type::I16 => i64::from(input.read_i16()?).into(),
        Type::I32 | Type::Enum(_) => i64::from(input.read_i32()?).into(),
        Type::I64 => input.read_i64()?.into(),
        Type::Double => input.read_double()?.into(),
        Type::String => input.read_string()?.into(),
        Type::Binary => Value::Bytes(input.read_bytes()?.into()),
        Type::Uuid => Value::Uuid(input.read_uuid()?.into_bytes()),
        Type::Struct(id) => read_struct(input, schema, *id)?,
        Type::List(of) => {
            let size = input.read_list_begin()?.size;
            let values = (0..size)
                .map(|_| read(input, schema, of))
                .collect::<thrift::Result<_>>()?;
            input.read_list_end()?;
            Value::List(values)
        }
        Type::Set(of) => {
            let size = input.read_set_begin()?.size;
            let values = (0..size)
                .map(|_| read(input, schema, of))
                .collect::<thrift::Result<_>>()?;
            input.read_set_end()?;
            Value::List(values)
        }
        Type::Map(key, of) => {
            let size = input.read_map_begin()?.size;
            let mut pair = |_| Ok((read(input, schema, key)?, read(input, schema, of)?));
            let pairs = (0..size).map(&mut pair).collect::<thrift::Result<_>>()?;
            input.read_map_end()?;
            Value::Map(pairs)
        }
        Type::Any => read_any(input, schema)?,
    })
}

fn read_any(input: &mut dyn TInputProtocol, schema: &Schema) -> thrift::Result<Value> {
    input.read_struct_begin()?;
    let field = input.read_field_begin()?;
    let at = usize::try_from(field.id.expect("a field is set") - 1).expect("a known field");
    let value = match &any_fields()[at] {
        Some(ty) => read(input, schema, ty)?,
        None => {
            input.skip(field.field_type)?;
            Value::Null
        }
    };
    input.read_field_end()?;
    assert_eq!(input.read_field_begin()?.field_type, TType::Stop);
    input.read_struct_end()?;
    Ok(value)
}

fn read_struct(
    input: &mut dyn TInputProtocol,
    schema: &Schema,
    id: StructId,
) -> thrift::Result<Value> {
    let of = schema.get(id);
    let mut record = Record {
        names: of.names.clone(),
        values: vec![Value::Null; of.fields.len()],
    };
    input.read_struct_begin()?;
    loop {
        let field = input.read_field_begin()?;
        if field.field_type == TType::Stop {
            break;
        }
        let at = field
            .id
            .and_then(|id| of.position_of_id(id))
            .expect("a known field");
        // Skip every third field, as generated code skips unknown fields.
        if at % 3 == 2 {
            input.skip(field.field_type)?;
        } else {
            record.values[at] = read(input, schema, &of.fields[at].ty)?;
        }
        input.read_field_end()?;
    }
    input.read_struct_end()?;
    Ok(Value::Record(record))
}

fn count(length: usize) -> i32 {
    length.try_into().expect("few")
}

/// Writes the message to `out`, as generated code does.
fn message(
    out: &mut dyn TOutputProtocol,
    schema: &Schema,
    id: StructId,
    record: &Value,
) -> thrift::Result<()> {
    out.write_message_begin(&TMessageIdentifier::new("echo", TMessageType::Call, 7))?;
    write(out, schema, &Type::Struct(id), record)?;
    out.write_message_end()?;
    out.flush()
}

fn written_by_apache(protocol: Protocol, schema: &Schema, id: StructId, record: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut out: Box<dyn TOutputProtocol> = match protocol {
        Protocol::Binary => Box::new(TBinaryOutputProtocol::new(&mut bytes, true)),
        Protocol::BinaryOld => Box::new(TBinaryOutputProtocol::new(&mut bytes, false)),
        Protocol::Compact => Box::new(TCompactOutputProtocol::new(&mut bytes)),
    };
    message(&mut *out, schema, id, record).expect("writable");
    drop(out);
    bytes
}

fn written_by_adapter(
    protocol: Protocol,
    schema: &Schema,
    id: StructId,
    record: &Value,
) -> BytesMut {
    let mut bytes = BytesMut::new();
    let written = with_codec!(protocol, C => {
        message(&mut ApacheWriter::new(C::writer(&mut bytes)), schema, id, record)
    });
    written.expect("writable");
    bytes
}

fn read_message(mut input: impl TInputProtocol, schema: &Schema, id: StructId) -> Value {
    let head = input.read_message_begin().expect("a head");
    assert_eq!(head, TMessageIdentifier::new("echo", TMessageType::Call, 7));
    let value = read_struct(&mut input, schema, id).expect("readable");
    input.read_message_end().expect("the end");
    value
}

/// Whether a field id is 15 above another. Apache's Rust library alone writes a delta of 15 in the long form; every
/// library reads both.
fn has_delta_of_15(schema: &Schema) -> bool {
    schema.structs.iter().any(|of| {
        let ids: Vec<i16> = of.fields.iter().map(|field| field.id).chain([0]).collect();
        ids.iter().any(|id| ids.contains(&(id + 15)))
    })
}

proptest! {
    #[test]
    fn apache_writes_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut entropy = Entropy(&bytes);
        let (schema, id) = entropy.schema();
        let record = entropy.record(&schema, id);
        for &protocol in Protocol::ALL {
            let ours = call(&schema, id, &record, wire_format(Transport::Unframed, protocol));
            if protocol != Protocol::Compact || !has_delta_of_15(&schema) {
                prop_assert_eq!(&written_by_apache(protocol, &schema, id, &record)[..], &ours[..]);
            }
            prop_assert_eq!(&written_by_adapter(protocol, &schema, id, &record)[..], &ours[..]);

            let limits = Limits::default();
            let strict = protocol == Protocol::Binary;
            let theirs = if protocol == Protocol::Compact {
                read_message(TCompactInputProtocol::new(&ours[..]), &schema, id)
            } else {
                read_message(TBinaryInputProtocol::new(&ours[..], strict), &schema, id)
            };
            let adapted = with_codec!(protocol, C => {
                read_message(ApacheReader::new(C::reader(&ours), &limits), &schema, id)
            });
            prop_assert_eq!(theirs, adapted);
        }
    }
}
