//! A self-describing value, used everywhere between stores, merge and wire.
//!
//! A store's answer, a call's parameters and a merged reply are all [`Value`]s. Text and bytes are slices of shared
//! buffers ([`Bytes`]), so bytes read from a store reach the reply without being copied. A struct of the IDL is a
//! [`Record`] with the struct's own [`FieldNames`], in field order.

mod hex;
mod identity; // equality by value and type
mod compact; // copies without the buffers around them
mod json;
mod number;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

pub use hex::{hex, parse_uuid, uuid_text};
pub(crate) use identity::Identity;
pub use json::{BadPointer, Pointer};
pub(crate) use number::IntegerText;
pub use number::{double_of_integer, is_beyond_i64, parse_double, parse_size};

/// UTF-8 text in a shared buffer.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Bytes);

impl Text {
    /// Takes UTF-8 bytes; returns them as the error if they are not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Bytes> {
        // Most texts are ASCII, which is quicker to see.
        if bytes.is_ascii() || std::str::from_utf8(&bytes).is_ok() {
            Ok(Text(bytes))
        } else {
            Err(bytes)
        }
    }

    /// Takes UTF-8 bytes that have been checked before.
    pub(crate) fn of_checked(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok(), "checked before");
        Text(bytes)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Checked at construction; checking again costs little and keeps this crate free of `unsafe`.
        std::str::from_utf8(&self.0).expect("checked at construction")
    }

    /// The bytes of the text, without another check.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The buffer.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(Bytes::from(text))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The names of a record's values: a row's columns or a struct's fields. Records of the same statement or struct
/// share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames(Arc<[Arc<str>]>);

impl FieldNames {
    /// Creates names in the order of the values.
    pub fn new<N: Into<Arc<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        FieldNames(names.into_iter().map(Into::into).collect())
    }

    /// The position of `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|have| &**have == name)
    }

    /// Whether both share one allocation, as the names of one statement or struct do; equal names may not.
    pub fn same(&self, other: &FieldNames) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for FieldNames {
    type Target = [Arc<str>];
    fn deref(&self) -> &[Arc<str>] {
        &self.0
    }
}

/// Named values: a row, or a struct of the IDL, whose unset fields are [`Value::Null`].
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// One name per value.
    pub names: FieldNames,
    /// In the order of `names`.
    pub values: Vec<Value>,
}

impl Value {
    /// How many bytes it takes, about. Buffers that it shares with others count in full.
    pub(crate) fn memory(&self) -> usize {
        let all = |values: &[Value]| values.iter().map(Value::memory).sum::<usize>();
        size_of::<Value>()
            + match self {
                Value::Text(text) => text.as_bytes().len(),
                Value::Bytes(bytes) => bytes.len(),
                Value::List(values) => all(values),
                Value::Record(record) => all(&record.values),
                Value::Map(pairs) => (pairs.iter())
                    .map(|(key, value)| key.memory() + value.memory())
                    .sum(),
                _ => 0,
            }
    }

    /// Whether it holds more than this many values, at any depth.
    pub fn is_more_than(&self, values: usize) -> bool {
        self.count_up_to(values).is_none()
    }

    /// How many values it holds, at any depth and itself included. None if there are more than `values`.
    pub(crate) fn count_up_to(&self, values: usize) -> Option<usize> {
        fn count(value: &Value, left: &mut usize) -> bool {
            let Some(rest) = left.checked_sub(1) else {
                return false;
            };
            *left = rest;
            match value {
                Value::List(values) => values.iter().all(|value| count(value, left)),
                Value::Record(record) => record.values.iter().all(|value| count(value, left)),
                Value::Map(pairs) => {
                    (pairs.iter()).all(|(key, value)| count(key, left) && count(value, left))
                }
                _ => true,
            }
        }
        let mut left = values;
        count(self, &mut left).then(|| values - left)
    }
}

impl Record {
    /// The value called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(self.names.position(name)?)
    }
}

/// A value of an enum with both of its forms.
#[derive(Clone, Debug, PartialEq)]
pub struct EnumValue {
    /// Its number.
    pub number: i64,
    /// Its name; `None` if the enum has no name for the number.
    pub name: Option<Arc<str>>,
}

impl EnumValue {
    /// The name, or why there is none.
    pub fn name(&self) -> Result<&str, String> {
        let none = || {
            format!(
                "{} is not a value of its enum, so it has no name",
                self.number
            )
        };
        self.name.as_deref().ok_or_else(none)
    }
}

/// A value of any store or any IDL type.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value: SQL's null, an unset field, a missing key.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer, or an enum's number.
    I64(i64),
    /// A binary floating-point number.
    Double(f64),
    /// UTF-8 text.
    Text(Text),
    /// Bytes of unknown meaning.
    Bytes(Bytes),
    /// A UUID in network byte order.
    Uuid([u8; 16]),
    /// A list or a set.
    List(Vec<Value>),
    /// Pairs in order of arrival; a JSON object is a map with text keys.
    Map(Vec<(Value, Value)>),
    /// A row or a struct.
    Record(Record),
    /// A value of an enum of the IDL, on its way to a store that reads enums by name. Decoded calls and answers hold
    /// [`Value::I64`] instead.
    Enum(EnumValue),
}

impl Value {
    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Replaces this value, which is nearly always null. Null needs no drop, so this skips the call to drop.
    #[inline]
    pub fn fill(&mut self, value: Value) {
        let before = std::mem::replace(self, value);
        if before.is_null() {
            std::mem::forget(before);
        }
    }

    /// The kind of value as messages name it: "text", "a list".
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a bool",
            Value::I64(_) => "an integer",
            Value::Double(_) => "a double",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::Uuid(_) => "a uuid",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Record(_) => "a record",
            Value::Enum(_) => "an enum value",
        }
    }

    /// The pairs of a map as a list of maps with `key` and `value`, for places where keys must be text.
    pub fn entries(pairs: Vec<(Value, Value)>) -> Value {
        let entry = |(key, value)| Value::Map(vec![("key".into(), key), ("value".into(), value)]);
        Value::List(pairs.into_iter().map(entry).collect())
    }

    /// The text, if the value is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The value called `name` in a record or in a map with text keys.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(record) => record.get(name),
            Value::Map(pairs) => pairs
                .iter()
                .find(|(key, _)| matches!(key, Value::Text(text) if text.as_bytes() == name.as_bytes()))
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::I64(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Double(number)
    }
}

impl From<bool> for Value {
    fn from(bit: bool) -> Self {
        Value::Bool(bit)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Self {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
