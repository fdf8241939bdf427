//! Writes a parameter in the text form of the type that the server inferred for it.
//!
//! Mistakes that can be found here (ranges, types) become `lookup.bad_param` before anything is sent; the server finds
//! the others (dates, enums, types of extensions). Values are bound, never spliced into SQL.

use std::error::Error;
use std::ops::RangeInclusive;

use bytes::BytesMut;
use serde::de::IgnoredAny;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::backend::LookupError;
use crate::backend::sql::{enum_name, json_text};
use crate::error::Code;
use crate::value::{Value, hex, parse_double, uuid_text};

/// One parameter in text form; `None` is null.
#[derive(Debug)]
pub(super) struct Param(pub(super) Option<String>);

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            None => IsNull::Yes,
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// `value` in the text form of `ty`.
pub(super) fn text(value: &Value, ty: &Type) -> Result<Option<String>, LookupError> {
    if value.is_null() {
        return Ok(None);
    }
    match (ty.kind(), value) {
        (Kind::Domain(base), _) => return text(value, base),
        (Kind::Array(element), _) => return list(value, element).map(Some),
        (_, Value::Enum(of)) if reads_names(ty) => {
            return enum_name(of).map(|name| Some(name.into()));
        }
        (_, Value::Record(record)) if record.values.len() == 1 && !is_json(ty) => {
            return text(&record.values[0], ty);
        }
        (_, Value::Enum(of)) => return text(&Value::I64(of.number), ty),
        _ => {}
    }
    let text = scalar(value, ty).ok_or_else(|| {
        let detail = format!("{} can't be bound as `{ty}`", value.kind());
        LookupError::new(Code::LookupBadParam, detail)
    })?;
    if text.contains('\0') {
        let detail = "text with a zero byte, which PostgreSQL can't hold";
        return Err(LookupError::new(Code::LookupBadParam, detail));
    }
    Ok(Some(text))
}

/// Whether an enum value of the IDL is bound by its name: as a label, as text or as JSON. Other types take its number.
pub(super) fn reads_names(ty: &Type) -> bool {
    let numbers = [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
        // One byte: PostgreSQL would cut off the rest of a name.
        Type::CHAR,
    ];
    match ty.kind() {
        Kind::Domain(base) | Kind::Array(base) => reads_names(base),
        _ => !numbers.contains(ty),
    }
}

fn is_json(ty: &Type) -> bool {
    matches!(*ty, Type::JSON | Type::JSONB)
}

fn scalar(value: &Value, ty: &Type) -> Option<String> {
    if let Some(range) = integers(ty) {
        return integer(value, &range).map(|number| number.to_string());
    }
    match *ty {
        Type::BOOL => bool(value).map(|bit| bit.to_string()),
        Type::FLOAT4 | Type::FLOAT8 => double(value),
        Type::NUMERIC => numeric(value),
        Type::BYTEA => bytes(value).map(|bytes| format!("\\x{}", hex(bytes))),
        Type::UUID => uuid(value),
        Type::JSON | Type::JSONB => json(value),
        _ => plain(value),
    }
}

fn bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(bit) => Some(*bit),
        Value::I64(0) => Some(false),
        Value::I64(1) => Some(true),
        Value::Text(text) => text.as_str().parse().ok(),
        _ => None,
    }
}

/// The integers that an integer type holds.
pub(super) fn integers(ty: &Type) -> Option<RangeInclusive<i64>> {
    if let Kind::Domain(base) = ty.kind() {
        return integers(base);
    }
    Some(match *ty {
        Type::INT2 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        Type::INT4 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        Type::INT8 => i64::MIN..=i64::MAX,
        Type::OID => 0..=i64::from(u32::MAX),
        _ => return None,
    })
}

fn integer(value: &Value, range: &RangeInclusive<i64>) -> Option<i64> {
    let number = match value {
        Value::I64(number) => *number,
        Value::Text(text) => text.as_str().parse().ok()?,
        Value::Double(number) => whole(*number)?,
        _ => return None,
    };
    range.contains(&number).then_some(number)
}

/// A double without a fraction, small enough to be exact.
fn whole(number: f64) -> Option<i64> {
    let text = format!("{number:.0}");
    let fits = number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    fits.then(|| text.parse().ok()).flatten()
}

/// Doubles hold all integers up to here.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

fn double(value: &Value) -> Option<String> {
    match value {
        Value::Double(number) => Some(format!("{number:?}")),
        Value::I64(number) => (number.unsigned_abs() <= 1 << 53).then(|| number.to_string()),
        Value::Text(text) => {
            let number = parse_double(text.as_str())?;
            Some(format!("{number:?}"))
        }
        _ => None,
    }
}

fn numeric(value: &Value) -> Option<String> {
    match value {
        Value::I64(number) => Some(number.to_string()),
        Value::Double(number) => Some(format!("{number:?}")),
        Value::Text(text) => {
            let text = text.as_str();
            let digits = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            let decimal = text.chars().all(digits) && text.parse::<f64>().is_ok();
            (decimal || text == "NaN").then(|| text.to_owned())
        }
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::Text(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn uuid(value: &Value) -> Option<String> {
    match value {
        Value::Uuid(uuid) => Some(uuid_text(uuid)),
        Value::Bytes(bytes) => Some(uuid_text(&<[u8; 16]>::try_from(&bytes[..]).ok()?)),
        Value::Text(text) => {
            let uuid = uuid::Uuid::try_parse(text.as_str()).ok()?;
            Some(uuid_text(uuid.as_bytes()))
        }
        _ => None,
    }
}

/// Text is taken for JSON text and sent unchanged; everything else is converted to JSON text.
fn json(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => {
            let text = text.as_str();
            serde_json::from_str::<IgnoredAny>(text).ok()?;
            Some(text.to_owned())
        }
        other => json_text(other).ok(),
    }
}

/// The text form for text types, and for types that only the server can read.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.as_str().to_owned()),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Value::I64(number) => Some(number.to_string()),
        Value::Uuid(uuid) => Some(uuid_text(uuid)),
        _ => None,
    }
}

fn list(value: &Value, element: &Type) -> Result<String, LookupError> {
    let Value::List(items) = value else {
        let detail = format!("{} can't be bound as an array of `{element}`", value.kind());
        return Err(LookupError::new(Code::LookupBadParam, detail));
    };
    let items = items.iter().map(|item| text(item, element));
    let items: Vec<Option<String>> = items.collect::<Result<_, _>>()?;
    Ok(array(items.iter().map(Option::as_deref)))
}

/// The text form of an array.
fn array<'a>(items: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut text = String::from("{");
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.push(',');
        }
        match item {
            Some(item) => quote(item, &mut text),
            None => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

/// Adds an item of an array in quotes.
pub(super) fn quote(item: &str, text: &mut String) {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\');
    text.push('"');
    let mut rest = item;
    while let Some(at) = rest.as_bytes().iter().position(is_special) {
        let (before, special) = rest.split_at(at);
        let (special, after) = special.split_at(1);
        text.push_str(before);
        text.push('\\');
        text.push_str(special);
        rest = after;
    }
    text.push_str(rest);
    text.push('"');
}
