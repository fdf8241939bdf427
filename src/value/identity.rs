//! Tells whether values are the same in every respect, which is more than being equal.
//!
//! Values of different types are never the same, as little as text and bytes, or an integer and an enum value. Doubles
//! are the same if their bits are: NaN is itself, and -0.0 is not 0.0, which a store may tell apart. Pairs and fields
//! have to be in the same order.

use std::hash::{Hash, Hasher};

use super::{EnumValue, Value};

/// Values that are compared with others in every respect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a>(pub(crate) &'a [Value]);

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        all_same(self.0, other.0)
    }
}

impl Eq for Identity<'_> {}

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_all(self.0, state);
    }
}

fn all_same(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::I64(one), Value::I64(other)) => one == other,
        (Value::Double(one), Value::Double(other)) => one.to_bits() == other.to_bits(),
        (Value::Text(one), Value::Text(other)) => one == other,
        (Value::Bytes(one), Value::Bytes(other)) => one == other,
        (Value::Uuid(one), Value::Uuid(other)) => one == other,
        (Value::List(one), Value::List(other)) => all_same(one, other),
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && (one.iter().zip(other)).all(|((one, of_one), (other, of_other))| {
                    same(one, other) && same(of_one, of_other)
                })
        }
        (Value::Record(one), Value::Record(other)) => {
            (one.names.same(&other.names) || one.names == other.names)
                && all_same(&one.values, &other.values)
        }
        (Value::Enum(one), Value::Enum(other)) => one == other,
        _ => false,
    }
}

fn hash_all<H: Hasher>(values: &[Value], state: &mut H) {
    state.write_usize(values.len());
    for value in values {
        hash(value, state);
    }
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    std::mem::discriminant(value).hash(state);
    match value {
        Value::Null => {}
        Value::Bool(bit) => bit.hash(state),
        Value::I64(number) | Value::Enum(EnumValue { number, .. }) => state.write_i64(*number),
        Value::Double(number) => state.write_u64(number.to_bits()),
        Value::Text(text) => text.as_bytes().hash(state),
        Value::Bytes(bytes) => bytes[..].hash(state),
        Value::Uuid(uuid) => uuid.hash(state),
        Value::List(values) => hash_all(values, state),
        Value::Map(pairs) => {
            state.write_usize(pairs.len());
            for (key, value) in pairs {
                hash(key, state);
                hash(value, state);
            }
        }
        Value::Record(record) => hash_all(&record.values, state),
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::value::{FieldNames, Record};

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::I64),
            any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
            ".{0,5}".prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..5)
                .prop_map(|bytes| Value::Bytes(bytes.into())),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            (any::<i64>(), "[A-Z]{0,3}").prop_map(|(number, name)| named(number, Some(&name))),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..4);
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                list.prop_map(Value::List),
                proptest::collection::vec(pair, 0..4).prop_map(Value::Map),
                ("[a-z]{0,3}", inner).prop_map(|(name, value)| record(&name, value)),
            ]
        })
    }

    fn named(number: i64, name: Option<&str>) -> Value {
        Value::Enum(EnumValue {
            number,
            name: name.map(Arc::from),
        })
    }

    fn record(name: &str, value: Value) -> Value {
        Value::Record(Record {
            names: FieldNames::new([name]),
            values: vec![value],
        })
    }

    #[test]
    fn only_what_no_store_can_tell_apart_is_the_same() {
        let pair = |a: &str, b: i64| (Value::from(a), Value::from(b));
        let different = [
            Value::Null,
            Value::Bool(false),
            Value::I64(0),
            Value::Double(0.0),
            Value::Double(-0.0),
            Value::Double(f64::NAN),
            Value::from(""),
            Value::from("0"),
            Value::Bytes(Bytes::from_static(b"0")),
            Value::Uuid([0; 16]),
            Value::List(vec![]),
            Value::List(vec![Value::I64(0)]),
            Value::List(vec![Value::from("a"), Value::from("b")]),
            Value::List(vec![Value::from("ab"), Value::from("")]),
            Value::Map(vec![]),
            Value::Map(vec![pair("a", 1), pair("b", 2)]),
            Value::Map(vec![pair("b", 2), pair("a", 1)]),
            record("a", Value::I64(0)),
            record("b", Value::I64(0)),
            named(0, None),
            named(0, Some("ZERO")),
            named(0, Some("NULL")),
            named(1, Some("ZERO")),
        ];
        for (a, one) in different.iter().enumerate() {
            for (b, other) in different.iter().enumerate() {
                let (one, other) = (std::slice::from_ref(one), std::slice::from_ref(other));
                assert_eq!(
                    Identity(one) == Identity(other),
                    a == b,
                    "{one:?} {other:?}"
                );
            }
        }
        let two = [Value::I64(1), Value::I64(2)];
        assert!(Identity(&two) != Identity(&two[..1]));
    }

    proptest! {
        #[test]
        fn a_compact_copy_is_the_same_and_has_the_same_hash(value in any_value()) {
            let copy = value.compacted();
            let (value, copy) = (std::slice::from_ref(&value), std::slice::from_ref(&copy));
            let state = RandomState::new();
            prop_assert!(Identity(value) == Identity(copy));
            prop_assert_eq!(state.hash_one(Identity(value)), state.hash_one(Identity(copy)));
        }
    }
}
