//! Reads JSON text into a [`Value`]: the whole document, or the part that a JSON pointer selects.
//!
//! An object becomes a map with text keys, in order of arrival; of equal names the last one's value counts. A number
//! with a fraction or an exponent becomes the nearest double. An integer beyond `i64` becomes decimal text, so that no
//! digit is lost. A byte order mark is skipped. `serde_json` limits nesting to 128 levels.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{large, names};
use crate::value::{Text, Value};

impl Value {
    /// Parses JSON text.
    pub fn from_json(bytes: &[u8]) -> Result<Value, serde_json::Error> {
        let bytes = without_mark(bytes);
        let is_large = Cell::new(false);
        let reader = serde_json::Deserializer::from_slice(bytes);
        let value = read(reader, Whole(&is_large))?;
        if !is_large.get() {
            return Ok(value);
        }
        let quoted = large::quoted(bytes);
        let reader = serde_json::Deserializer::from_slice(&quoted);
        read(reader, Whole(&is_large))
    }
}

/// The text without the byte order mark that some writers put in front.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn read<'de, R: serde_json::de::Read<'de>, S: DeserializeSeed<'de>>(
    mut reader: serde_json::Deserializer<R>,
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let value = seed.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A JSON pointer (RFC 6901), parsed: `/data/0/name`. The empty pointer is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// Why a text is not a JSON pointer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// It is not empty and does not start with a slash.
    #[error("a JSON pointer begins with `/`")]
    Start,
    /// A `~` is not followed by `0` or `1`.
    #[error("`~` is allowed only in `~0` (for `~`) and `~1` (for `/`)")]
    Escape,
}

impl Pointer {
    /// Parses the textual form, with `~0` and `~1` for `~` and `/`.
    pub fn parse(text: &str) -> Result<Self, BadPointer> {
        if text.is_empty() {
            return Ok(Pointer::default());
        }
        let steps = text.strip_prefix('/').ok_or(BadPointer::Start)?;
        steps
            .split('/')
            .map(unescape)
            .collect::<Result<_, _>>()
            .map(Pointer)
    }

    /// The value that the pointer selects in the JSON text `bytes`, or [`Value::Null`] if there is none. The rest
    /// must be valid JSON, but is not kept.
    pub fn pick(&self, bytes: &[u8]) -> Result<Value, serde_json::Error> {
        // `serde_json` does not check the encoding of what it skips.
        let text = std::str::from_utf8(without_mark(bytes)).map_err(serde_json::Error::custom)?;
        let is_large = Cell::new(false);
        let step = PointerRest {
            path: &self.0,
            whole: Whole(&is_large),
        };
        let mut picked = read(serde_json::Deserializer::from_str(text), step)?;
        if is_large.get() {
            let quoted = large::quoted(text.as_bytes());
            let reader = serde_json::Deserializer::from_slice(&quoted);
            picked = read(reader, step)?;
        }
        Ok(picked.unwrap_or_default())
    }
}

fn unescape(step: &str) -> Result<String, BadPointer> {
    let mut plain = String::with_capacity(step.len());
    let mut chars = step.chars();
    while let Some(c) = chars.next() {
        match c {
            '~' => match chars.next() {
                Some('0') => plain.push('~'),
                Some('1') => plain.push('/'),
                _ => return Err(BadPointer::Escape),
            },
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// Reads a whole value. Sets its flag at a number that is a double here and may have been an integer in the text:
/// `serde_json` does not tell which. The text is then read once more, with such integers in quotes.
#[derive(Clone, Copy)]
struct Whole<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bit: bool) -> Result<Value, E> {
        Ok(Value::Bool(bit))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::I64(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or_else(|_| Value::from(number.to_string()), Value::I64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        if number.abs() >= large::LEAST {
            self.0.set(true);
        }
        Ok(Value::Double(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            pairs.push((Value::Text(Text::from(name)), value));
        }
        names::keep_last(&mut pairs);
        Ok(Value::Map(pairs))
    }
}

/// Follows the remaining steps of a pointer; `None` if they lead nowhere.
#[derive(Clone, Copy)]
struct PointerRest<'p> {
    path: &'p [String],
    whole: Whole<'p>,
}

impl PointerRest<'_> {
    /// The steps after the first one.
    fn rest(self) -> Self {
        PointerRest {
            path: &self.path[1..],
            ..self
        }
    }
}

impl<'de> DeserializeSeed<'de> for PointerRest<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        if self.path.is_empty() {
            self.whole.deserialize(deserializer).map(Some)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for PointerRest<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // RFC 6901: an index has no leading zeros.
        let wanted = match self.path[0].as_str() {
            step if step.len() > 1 && step.starts_with('0') => None,
            step if step.bytes().all(|byte| byte.is_ascii_digit()) => step.parse::<usize>().ok(),
            _ => None,
        };
        let mut picked = None;
        let mut at = 0;
        loop {
            let more = if wanted == Some(at) {
                seq.next_element_seed(self.rest())?
                    .map(|item| picked = item)
            } else {
                seq.next_element::<IgnoredAny>()?.map(|_| ())
            };
            if more.is_none() {
                return Ok(picked);
            }
            at += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut picked = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.path[0] {
                // The last of equal names counts.
                picked = map.next_value_seed(self.rest())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(picked)
    }
}
