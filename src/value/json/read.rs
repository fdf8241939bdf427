//! Reads JSON text into a [`Value`]: the whole document, or the part that a JSON pointer selects.
//!
//! An object becomes a map with text keys, in order of arrival. A repeated name is kept; [`Value::get`] and pointers
//! find the first one. Integers that fit an `i64` stay exact; larger ones and fractions become doubles. `serde_json`
//! limits nesting to 128 levels.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use crate::value::{Text, Value};

impl Value {
    /// Parses JSON text.
    pub fn from_json(bytes: &[u8]) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
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
        let text = std::str::from_utf8(bytes).map_err(serde_json::Error::custom)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let picked = Step(&self.0).deserialize(&mut reader)?;
        reader.end()?;
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

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

/// Reads a whole value.
struct Whole;

impl<'de> Visitor<'de> for Whole {
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
        #[expect(
            clippy::cast_precision_loss,
            reason = "as JSON readers everywhere do beyond an i64"
        )]
        Ok(i64::try_from(number).map_or(Value::Double(number as f64), Value::I64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
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
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            pairs.push((Value::Text(Text::from(name)), map.next_value()?));
        }
        Ok(Value::Map(pairs))
    }
}

/// Follows the remaining steps of a pointer; `None` if they lead nowhere.
struct Step<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        if self.0.is_empty() {
            Value::deserialize(deserializer).map(Some)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Step<'_> {
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
        let wanted = match self.0[0].as_str() {
            step if step.len() > 1 && step.starts_with('0') => None,
            step if step.bytes().all(|byte| byte.is_ascii_digit()) => step.parse::<usize>().ok(),
            _ => None,
        };
        let mut picked = None;
        let mut at = 0;
        loop {
            let more = if wanted == Some(at) {
                seq.next_element_seed(Step(&self.0[1..]))?
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
        let mut found = false;
        while let Some(name) = map.next_key::<String>()? {
            if !found && name == self.0[0] {
                found = true;
                picked = map.next_value_seed(Step(&self.0[1..]))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(picked)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Value {
        Value::from_json(text.as_bytes()).expect("valid JSON")
    }

    #[test]
    fn reads_every_kind_of_value() {
        assert_eq!(json("null"), Value::Null);
        assert_eq!(json("true"), Value::Bool(true));
        assert_eq!(json("-9223372036854775808"), Value::I64(i64::MIN));
        assert_eq!(json("9223372036854775807"), Value::I64(i64::MAX));
        assert_eq!(
            json("9223372036854775808"),
            Value::Double(9_223_372_036_854_775_808.0)
        );
        assert_eq!(json("1.5e2"), Value::Double(150.0));
        assert_eq!(json(r#""\u00e9\n""#), Value::from("é\n"));
        assert_eq!(json(r#"[1, "a", []]"#).kind(), "a list");
        let map = json(r#"{"b": 1, "a": {"c": null}}"#);
        let Value::Map(pairs) = &map else {
            panic!("{map:?}")
        };
        assert_eq!(pairs[0].0, Value::from("b"), "order is kept");
        assert_eq!(map.get("a").and_then(|a| a.get("c")), Some(&Value::Null));
    }

    #[test]
    fn invalid_json_is_an_error() {
        for bad in [
            &b""[..],
            b"{",
            b"[1,]",
            b"nul",
            b"1 2",
            b"\"\xff\"",
            b"{1: 2}",
        ] {
            assert!(Value::from_json(bad).is_err(), "{bad:?}");
            assert!(Pointer::parse("/a").unwrap().pick(bad).is_err(), "{bad:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(Value::from_json(deep.as_bytes()).is_err());
    }

    #[test]
    fn pointers_select_one_part() {
        let text = br#"{"a": [10, {"b/c": {"~": 7}}], "": 1, "a": 2, "01": 3}"#;
        let pick = |pointer: &str| Pointer::parse(pointer).unwrap().pick(text).unwrap();
        assert_eq!(pick("/a/0"), Value::I64(10));
        assert_eq!(pick("/a/1/b~1c/~0"), Value::I64(7));
        assert_eq!(pick("/"), Value::I64(1));
        assert_eq!(pick("/01"), Value::I64(3));
        for nothing in ["/a/2", "/a/-", "/a/00", "/a/+1", "/a/0/x", "/z", "/a/1/b"] {
            assert_eq!(pick(nothing), Value::Null, "{nothing}");
        }
        assert_eq!(pick(""), Value::from_json(text).unwrap());
    }

    #[test]
    fn a_pointer_into_text_that_is_not_utf_8_is_an_error() {
        let bytes = b"{\"a\": 1, \"b\": \"\xb7\"}";
        assert!(Pointer::parse("/a").unwrap().pick(bytes).is_err());
    }

    #[test]
    fn invalid_pointers_say_why() {
        assert_eq!(Pointer::parse("a"), Err(BadPointer::Start));
        assert_eq!(Pointer::parse("/a~2"), Err(BadPointer::Escape));
        assert_eq!(Pointer::parse("/~"), Err(BadPointer::Escape));
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_as_serde_json_accepts_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Value::from_json(&bytes).is_ok(), serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }
}
