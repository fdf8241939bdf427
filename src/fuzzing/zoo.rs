//! The zoo: an IDL with every type, and a check that a value has its type.

use std::sync::LazyLock;

use super::hold;
use crate::idl::{Requiredness, Schema, StructId, StructKind, Type, load_from};
use crate::value::{Record, Value};

/// `tests/fuzz/zoo.thrift`
static ZOO: LazyLock<Schema> = LazyLock::new(|| {
    let text = include_str!("../../tests/fuzz/zoo.thrift");
    let read = |name: &str| (name == "zoo.thrift").then(|| text.to_owned());
    load_from("zoo.thrift", &read).expect("the zoo has no problems")
});

/// The zoo.
pub(crate) fn zoo() -> &'static Schema {
    &ZOO
}

/// The zoo's struct `name`.
pub(crate) fn zoo_struct(name: &str) -> StructId {
    zoo().id_of(&format!("zoo.{name}"))
}

/// Whether `value` has type `ty`. Everything that reads parameters or replies relies on this.
fn conforms(schema: &Schema, ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::I8, Value::I64(number)) => i8::try_from(*number).is_ok(),
        (Type::I16, Value::I64(number)) => i16::try_from(*number).is_ok(),
        // A newer client may send a number without a name.
        (Type::I32 | Type::Enum(_), Value::I64(number)) => i32::try_from(*number).is_ok(),
        (Type::Bool, Value::Bool(_))
        | (Type::I64, Value::I64(_))
        | (Type::Double, Value::Double(_))
        | (Type::String, Value::Text(_))
        | (Type::Binary, Value::Bytes(_))
        | (Type::Uuid, Value::Uuid(_)) => true,
        (Type::Struct(id), Value::Record(record)) => is_of(schema, *id, record),
        (Type::List(of) | Type::Set(of), Value::List(items)) => {
            items.iter().all(|item| conforms(schema, of, item))
        }
        (Type::Map(key, of), Value::Map(pairs)) => pairs
            .iter()
            .all(|(name, value)| conforms(schema, key, name) && conforms(schema, of, value)),
        _ => false,
    }
}

fn is_of(schema: &Schema, id: StructId, record: &Record) -> bool {
    let of = schema.get(id);
    let fields = of.fields.iter().zip(&record.values);
    let fit = |(field, value): (&crate::idl::Field, &Value)| match value {
        Value::Null => field.requiredness != Requiredness::Required,
        value => conforms(schema, &field.ty, value),
    };
    let set = record.values.iter().filter(|value| !value.is_null());
    record.values.len() == of.fields.len()
        && record.names.same(&of.names)
        && fields.into_iter().all(fit)
        && (of.kind != StructKind::Union || set.count() == 1)
}

/// Whether two values are the same bit for bit; NaN equals itself.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Double(one), Value::Double(other)) => one.to_bits() == other.to_bits(),
        (Value::List(one), Value::List(other)) => all_same(one, other),
        (Value::Record(one), Value::Record(other)) => {
            one.names == other.names && all_same(&one.values, &other.values)
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && (one.iter().zip(other))
                    .all(|(one, other)| same(&one.0, &other.0) && same(&one.1, &other.1))
        }
        (one, other) => one == other,
    }
}

fn all_same(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

/// Panics unless `value` has type `ty`.
#[track_caller]
pub(crate) fn hold_type(schema: &Schema, ty: &Type, value: &Value) {
    hold(
        conforms(schema, ty, value),
        "a value has its type",
        (schema.describe(ty), value),
    );
}
