//! Gives enum values their names, for parameters of lookups whose store reads enums by name.
//!
//! In a call, a value of an enum is its number. Only the type of a parameter tells that an integer is one.

use std::sync::Arc;

use crate::idl::{Schema, StructId, Type};
use crate::value::{EnumValue, Record, Value};

/// The first enum that values of type `ty` may hold, at any depth.
pub fn enum_in<'s>(schema: &'s Schema, ty: &'s Type) -> Option<&'s Arc<str>> {
    find(schema, ty, &mut Vec::new())
}

fn find<'s>(schema: &'s Schema, ty: &'s Type, seen: &mut Vec<StructId>) -> Option<&'s Arc<str>> {
    match ty {
        Type::Enum(of) => Some(&of.name),
        Type::List(of) | Type::Set(of) => find(schema, of, seen),
        Type::Map(key, of) => find(schema, key, seen).or_else(|| find(schema, of, seen)),
        Type::Struct(id) if !seen.contains(id) => {
            seen.push(*id);
            let mut fields = schema.get(*id).fields.iter();
            fields.find_map(|field| find(schema, &field.ty, seen))
        }
        _ => None,
    }
}

/// `value`, which is of type `ty`, with the names of the enum values in it.
pub fn with_names(schema: &Schema, ty: &Type, value: Value) -> Value {
    match (ty, value) {
        (Type::Enum(of), Value::I64(number)) => Value::Enum(EnumValue {
            number,
            name: of.name_of(number).map(Arc::clone),
        }),
        (Type::List(of) | Type::Set(of), Value::List(items)) => {
            let items = items.into_iter();
            Value::List(items.map(|item| with_names(schema, of, item)).collect())
        }
        (Type::Map(key, of), Value::Map(pairs)) => {
            let pairs = pairs.into_iter();
            let named =
                |(name, value)| (with_names(schema, key, name), with_names(schema, of, value));
            Value::Map(pairs.map(named).collect())
        }
        (Type::Struct(id), Value::Record(record)) => of_struct(schema, *id, record),
        (_, value) => value,
    }
}

fn of_struct(schema: &Schema, id: StructId, record: Record) -> Value {
    let of = schema.get(id);
    let named = |(name, value): (&Arc<str>, Value)| match of.field(name) {
        Some((_, field)) => with_names(schema, &field.ty, value),
        None => value,
    };
    let values = record.names.iter().zip(record.values);
    Value::Record(Record {
        values: values.map(named).collect(),
        names: record.names.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idl::{EnumType, Field, Requiredness, StructKind, StructType};
    use crate::value::FieldNames;

    fn field(id: i16, name: &str, ty: Type) -> Field {
        Field {
            id,
            name: name.into(),
            ty,
            requiredness: Requiredness::Default,
            default: None,
            doc: None,
        }
    }

    /// `struct Want { 1: Kind kind, 2: list<Want> others, 3: map<Kind, i64> counts }`
    fn want() -> (Schema, Type) {
        let kind = Type::Enum(Arc::new(EnumType {
            name: "s.Kind".into(),
            values: vec![("CARGO".into(), 2)],
        }));
        let mut schema = Schema::default();
        let id = StructId(0);
        let fields = vec![
            field(1, "kind", kind.clone()),
            field(2, "others", Type::List(Type::Struct(id).into())),
            field(3, "counts", Type::Map(kind.into(), Type::I64.into())),
        ];
        schema.structs = vec![StructType {
            name: "s.Want".into(),
            kind: StructKind::Struct,
            names: FieldNames::new(fields.iter().map(|field| Arc::clone(&field.name))),
            fields,
            doc: None,
        }];
        (schema, Type::Struct(id))
    }

    #[test]
    fn an_enum_is_found_at_any_depth() {
        let (schema, ty) = want();
        assert_eq!(enum_in(&schema, &ty).map(|name| &**name), Some("s.Kind"));
        assert_eq!(enum_in(&schema, &Type::List(Type::I64.into())), None);
    }

    #[test]
    fn enum_values_get_their_names_and_other_integers_none() {
        let (schema, ty) = want();
        let Type::Struct(id) = ty else {
            unreachable!("a struct")
        };
        let record = |values| {
            let names = schema.get(id).names.clone();
            Value::Record(Record { names, values })
        };
        let named = |number, name: Option<&str>| {
            let name = name.map(Arc::from);
            Value::Enum(EnumValue { number, name })
        };
        let inner = record(vec![9.into(), Value::Null, Value::Null]);
        let counts = Value::Map(vec![(2.into(), 2.into())]);
        let value = record(vec![2.into(), Value::List(vec![inner]), counts]);
        let inner = record(vec![named(9, None), Value::Null, Value::Null]);
        let counts = Value::Map(vec![(named(2, Some("CARGO")), 2.into())]);
        let expected = record(vec![
            named(2, Some("CARGO")),
            Value::List(vec![inner]),
            counts,
        ]);
        assert_eq!(with_names(&schema, &ty, value), expected);
    }
}
