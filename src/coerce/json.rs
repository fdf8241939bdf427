//! Writes a value as JSON by its IDL type, for people and scripts at the command line.
//!
//! A struct becomes an object without its unset fields, and an enum its name, or its number if the IDL has no name for
//! it. A map with text, integer or enum keys becomes an object, any other map an array of `[key, value]`. The rest is
//! written as [`Value::to_json`] does.

use serde_json::{Map, Value as Json, json};

use crate::idl::{Schema, StructId, Type};
use crate::value::{Record, Value};

/// Writes `value`, which is of type `ty`, as JSON. A value of another type is written without the IDL.
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
        (_, value) => value.to_json(),
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
            None => value.to_json(),
        };
        (name.to_string(), json)
    });
    Json::Object(fields.collect::<Map<_, _>>())
}

/// The key of a map as the name in an object, if keys of its type have one.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::idl::{EnumType, Field, Requiredness, StructKind, StructType};
    use crate::value::FieldNames;

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
                kind: StructKind::Struct,
                fields: vec![
                    field(1, "id", Type::I64),
                    field(2, "color", color()),
                    field(3, "raw", Type::Binary),
                ],
                names: FieldNames::new(["id", "color", "raw"]),
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
    fn structs_omit_unset_fields() {
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
