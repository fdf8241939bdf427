//! Builds the values of answers.

use crate::value::Value;

/// A struct, by the names of its fields.
pub(super) fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let pairs = fields.map(|(name, value)| (name.into(), value));
    Value::Map(pairs.into())
}

/// A list of the values that `to_value` makes of `items`.
pub(super) fn list<T>(
    items: impl IntoIterator<Item = T>,
    to_value: impl FnMut(T) -> Value,
) -> Value {
    Value::List(items.into_iter().map(to_value).collect())
}

/// Adds the structs `others` to a struct, if there are any.
pub(super) fn with_others(first: Value, others: impl Iterator<Item = Value>) -> Value {
    let others: Vec<Value> = others.collect();
    match first {
        Value::Map(mut fields) if !others.is_empty() => {
            fields.push(("others".into(), Value::List(others)));
            Value::Map(fields)
        }
        first => first,
    }
}
