//! Says what is wrong with a JSON file that could not be read, and where. It builds nothing in memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::json_columns::KEY;
use super::json_elements::{cut, elements, name_and_value};
use crate::value::Value;

/// Nothing is known to be wrong, so it is what [`Table`](super::table::Table) can't hold.
const TOO_LARGE: &str = "line 1: it has more rows, or longer ones, than a table may have";

/// The mistake of a file with one array or object.
pub(super) fn find(bytes: &[u8]) -> String {
    if let Err(err) = skim(bytes) {
        return format!("line {}: it is not valid JSON: {err}", err.line());
    }
    let Some(body) = cut(bytes, usize::MAX) else {
        return "line 1: expected an array of objects, or an object of objects".into();
    };
    let all = body
        .pieces
        .into_iter()
        .flat_map(|piece| elements(&bytes[piece]));
    for (at, element) in all.enumerate() {
        let (name, value) = if body.is_object {
            name_and_value(element).unwrap_or_default()
        } else {
            (&b""[..], element)
        };
        let what = match Value::from_json(name) {
            Ok(name) => format!("element `{}`", name.as_str().unwrap_or_default()),
            Err(_) => format!("element {}", at + 1),
        };
        let value = Value::from_json(value).unwrap_or_default();
        if body.is_object && value.get(KEY).is_some() {
            return format!("{what} has a field `{KEY}`, which is what the outer names are called");
        }
        if !matches!(value, Value::Map(_)) {
            return format!("{what} is not an object");
        }
    }
    TOO_LARGE.into()
}

/// Whether it is valid JSON.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    skim(bytes).is_ok()
}

fn skim(bytes: &[u8]) -> Result<Skimmed, serde_json::Error> {
    serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// The mistake of a file with one object per line.
pub(super) fn find_in_lines(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match Value::from_json(line) {
            Err(err) => return format!("line {}: it is not valid JSON: {err}", at + 1),
            Ok(Value::Map(_)) => {}
            Ok(_) => return format!("line {}: it is not an object", at + 1),
        }
    }
    TOO_LARGE.into()
}

/// A valid JSON value, of which nothing is kept.
struct Skimmed;

impl<'de> Deserialize<'de> for Skimmed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Skimmed)
    }
}

impl<'de> Visitor<'de> for Skimmed {
    type Value = Skimmed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Skimmed, E> {
        Ok(Skimmed)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Skimmed, E> {
        Ok(Skimmed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Skimmed, E> {
        Ok(Skimmed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Skimmed, E> {
        Ok(Skimmed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Skimmed, E> {
        Ok(Skimmed)
    }

    fn visit_str<E>(self, _: &str) -> Result<Skimmed, E> {
        Ok(Skimmed)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Skimmed, A::Error> {
        while seq.next_element::<Skimmed>()?.is_some() {}
        Ok(Skimmed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skimmed, A::Error> {
        while map.next_entry::<String, Skimmed>()?.is_some() {}
        Ok(Skimmed)
    }
}
