//! Writes a value of an IDL type as JSON, for the command line.
//!
//! Structs are objects without their unset fields, enums are names (numbers when the IDL has none), maps with
//! text, integer or enum keys are objects and other maps arrays of `[key, value]`. What JSON can't say is said
//! in text: `"NaN"`, `"inf"`, a UUID, and `{"hex": ".."}` for bytes that are not UTF-8.

use serde_json::{Map, Value as Json, json};

use crate::idl::{Schema, StructId, Type};
use crate::value::{Record, Value, hex, uuid_text};

/// `value`, which is of type `ty`, as JSON. A value of another type is written as what it is.
pub fn to_json(schema: &Schema, ty: &Type, value: &Value) -> Json {
    match (ty, value) {
        (Type::Enum(of), Value::I64(number)) => match of.name_of(*number) {
            Some(name) => Json::from(&**name),
            None => Json::from(*number),
        },
        (Type::Struct(id), Value::Record(record)) => of_struct(schema, *id, record),
        (Type::List(of) | Type::Set(of), Value::List(items)) => {
            items.iter().map(|item| to_json(schema, of, item)).collect()
        }
        (Type::Map(key, of), Value::Map(pairs)) => {
            let names: Option<Vec<String>> = pairs
                .iter()
                .map(|(name, _)| object_key(key, name))
                .collect();
            match names {
                Some(names) => {
                    let values = pairs.iter().map(|(_, value)| to_json(schema, of, value));
                    Json::Object(names.into_iter().zip(values).collect())
                }
                None => pairs
                    .iter()
                    .map(|(name, value)| {
                        json!([to_json(schema, key, name), to_json(schema, of, value)])
                    })
                    .collect(),
            }
        }
        (_, value) => untyped(value),
    }
}

fn of_struct(schema: &Schema, id: StructId, record: &Record) -> Json {
    let of = schema.get(id);
    let set = record
        .names
        .iter()
        .zip(&record.values)
        .filter(|(_, value)| !value.is_null());
    let fields = set.map(|(name, value)| {
        let json = match of.field(name) {
            Some((_, field)) => to_json(schema, &field.ty, value),
            None => untyped(value),
        };
        (name.to_string(), json)
    });
    Json::Object(fields.collect::<Map<_, _>>())
}

/// `key` as the name in an object, where its type has one.
fn object_key(ty: &Type, key: &Value) -> Option<String> {
    match (ty, key) {
        (Type::String, Value::Text(text)) => Some(text.as_str().to_owned()),
        (Type::Enum(of), Value::I64(number)) => Some(
            of.name_of(*number)
                .map_or_else(|| number.to_string(), ToString::to_string),
        ),
        (Type::I8 | Type::I16 | Type::I32 | Type::I64, Value::I64(number)) => {
            Some(number.to_string())
        }
        _ => None,
    }
}

fn untyped(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bit) => Json::from(*bit),
        Value::I64(number) => Json::from(*number),
        Value::Double(number) if number.is_finite() => Json::from(*number),
        Value::Double(number) => Json::from(number.to_string()),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Json::from(text),
            Err(_) => json!({ "hex": hex(bytes) }),
        },
        Value::Uuid(uuid) => Json::from(uuid_text(uuid)),
        Value::List(items) => items.iter().map(untyped).collect(),
        Value::Map(pairs) => {
            let names: Option<Vec<&str>> = pairs.iter().map(|(key, _)| key.as_str()).collect();
            match names {
                Some(names) => {
                    let pairs = names.into_iter().zip(pairs);
                    Json::Object(
                        pairs
                            .map(|(name, (_, value))| (name.to_owned(), untyped(value)))
                            .collect(),
                    )
                }
                None => pairs
                    .iter()
                    .map(|(key, value)| json!([untyped(key), untyped(value)]))
                    .collect(),
            }
        }
        Value::Record(record) => {
            let pairs = record.names.iter().zip(&record.values);
            let set = pairs.filter(|(_, value)| !value.is_null());
            Json::Object(
                set.map(|(name, value)| (name.to_string(), untyped(value)))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::idl::{EnumType, Field, Kind, Requiredness, StructType};
    use crate::value::Names;

    fn field(id: i16, name: &str, ty: Type) -> Field {
        Field {
            id,
            name: name.into(),
            requiredness: Requiredness::Optional,
            ty,
            default: None,
            doc: None,
        }
    }

    fn color() -> Type {
        Type::Enum(Arc::new(EnumType {
            name: "t.Color".into(),
            values: vec![("RED".into(), 1)],
        }))
    }

    fn schema() -> Schema {
        Schema {
            structs: vec![StructType {
                name: "t.Thing".into(),
                kind: Kind::Struct,
                fields: vec![
                    field(1, "id", Type::I64),
                    field(2, "color", color()),
                    field(3, "raw", Type::Binary),
                ],
                names: Names::new(["id", "color", "raw"]),
                doc: None,
            }],
            ..Schema::default()
        }
    }

    #[track_caller]
    fn check(ty: &Type, value: impl Into<Value>, expected: &Json) {
        assert_eq!(to_json(&schema(), ty, &value.into()), *expected);
    }

    fn map(pairs: Vec<(Value, Value)>) -> Value {
        Value::Map(pairs)
    }

    #[test]
    fn scalars() {
        check(&Type::Bool, true, &json!(true));
        check(&Type::I64, i64::MAX, &json!(i64::MAX));
        check(&Type::Double, 0.5, &json!(0.5));
        check(&Type::Double, f64::NAN, &json!("NaN"));
        check(&Type::Double, f64::NEG_INFINITY, &json!("-inf"));
        check(&Type::String, "é", &json!("é"));
        check(&Type::String, Value::Null, &Json::Null);
        check(
            &Type::Binary,
            Value::Bytes(Bytes::from_static(b"ok")),
            &json!("ok"),
        );
        check(
            &Type::Binary,
            Value::Bytes(Bytes::from_static(b"\xff\x00")),
            &json!({"hex": "ff00"}),
        );
        check(
            &Type::Uuid,
            Value::Uuid([0x1f; 16]),
            &json!("1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f"),
        );
        check(&color(), 1, &json!("RED"));
        check(&color(), 9, &json!(9));
    }

    #[test]
    fn structs_leave_unset_fields_out() {
        let names = schema().structs[0].names.clone();
        let thing = |values| {
            Value::Record(Record {
                names: names.clone(),
                values,
            })
        };
        let ty = Type::Struct(StructId(0));
        check(
            &ty,
            thing(vec![7.into(), 1.into(), Value::Null]),
            &json!({"id": 7, "color": "RED"}),
        );
        check(
            &Type::List(Box::new(ty)),
            Value::List(vec![thing(vec![Value::Null; 3])]),
            &json!([{}]),
        );
    }

    #[test]
    fn map_keys_decide_the_form() {
        let of = |key: Type| Type::Map(Box::new(key), Box::new(color()));
        check(
            &of(Type::String),
            map(vec![("a".into(), 1.into())]),
            &json!({"a": "RED"}),
        );
        check(
            &of(Type::I32),
            map(vec![((-3).into(), 1.into())]),
            &json!({"-3": "RED"}),
        );
        check(
            &of(color()),
            map(vec![(1.into(), 2.into()), (5.into(), 1.into())]),
            &json!({"RED": 2, "5": "RED"}),
        );
        check(
            &of(Type::Double),
            map(vec![(0.5.into(), 1.into())]),
            &json!([[0.5, "RED"]]),
        );
    }

    #[test]
    fn a_value_of_another_type_is_written_as_it_is() {
        check(
            &Type::I64,
            map(vec![("a".into(), vec![1, 2].into())]),
            &json!({"a": [1, 2]}),
        );
        check(
            &Type::I64,
            map(vec![(1.into(), true.into())]),
            &json!([[1, true]]),
        );
    }
}
