//! Decodes a column's bytes by its type, from PostgreSQL's binary formats.
//!
//! Values are exact or refused: `numeric` becomes its decimal text, dates and times ISO 8601 text, `json` its value, an
//! array a list. A type that is not known here is refused when the statement is prepared.

mod bytes;
mod numeric;
mod time;

use std::error::Error;

use ::bytes::Bytes;
use tokio_postgres::types::{FromSql, Kind, Type};

use self::bytes::Reader;
use crate::value::{Text, Value};

/// A column's bytes as received; `None` is null.
pub(super) struct Cell<'a>(pub(super) Option<&'a [u8]>);

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// How to decode a type's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Text,
    /// `"char"`, one byte.
    Char,
    Bytes,
    Uuid,
    Json,
    Jsonb,
    Numeric,
    Date,
    Time,
    TimeZoned,
    Timestamp,
    /// In UTC.
    TimestampZoned,
    Interval,
    Array(Box<Decoder>),
}

impl Decoder {
    /// For a column's type; `None` if its bytes can't be decoded here.
    pub(super) fn of(ty: &Type) -> Option<Decoder> {
        match ty.kind() {
            Kind::Domain(base) => return Decoder::of(base),
            Kind::Array(element) => {
                return Decoder::of(element).map(|of| Decoder::Array(of.into()));
            }
            Kind::Enum(_) => return Some(Decoder::Text),
            Kind::Simple => {}
            _ if *ty == Type::UNKNOWN => return Some(Decoder::Text),
            _ => return None,
        }
        Some(match *ty {
            Type::BOOL => Decoder::Bool,
            Type::INT2 => Decoder::Int2,
            Type::INT4 => Decoder::Int4,
            Type::INT8 => Decoder::Int8,
            Type::OID => Decoder::Oid,
            Type::FLOAT4 => Decoder::Float4,
            Type::FLOAT8 => Decoder::Float8,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::XML => Decoder::Text,
            Type::CHAR => Decoder::Char,
            Type::BYTEA => Decoder::Bytes,
            Type::UUID => Decoder::Uuid,
            Type::JSON => Decoder::Json,
            Type::JSONB => Decoder::Jsonb,
            Type::NUMERIC => Decoder::Numeric,
            Type::DATE => Decoder::Date,
            Type::TIME => Decoder::Time,
            Type::TIMETZ => Decoder::TimeZoned,
            Type::TIMESTAMP => Decoder::Timestamp,
            Type::TIMESTAMPTZ => Decoder::TimestampZoned,
            Type::INTERVAL => Decoder::Interval,
            // A type of an extension, whose bytes are its text.
            _ if ty.name() == "citext" => Decoder::Text,
            _ => return None,
        })
    }

    /// Decodes `bytes`.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Value, String> {
        let mut reader = Reader(bytes);
        let value = self.read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    fn read(&self, from: &mut Reader<'_>) -> Result<Value, String> {
        Ok(match self {
            Decoder::Bool => Value::Bool(from.array::<1>()? != [0]),
            Decoder::Int2 => Value::I64(from.i16()?.into()),
            Decoder::Int4 => Value::I64(from.i32()?.into()),
            Decoder::Int8 => Value::I64(from.i64()?),
            Decoder::Oid => Value::I64(u32::from_be_bytes(from.array()?).into()),
            Decoder::Float4 => Value::Double(f32::from_be_bytes(from.array()?).into()),
            Decoder::Float8 => Value::Double(f64::from_be_bytes(from.array()?)),
            Decoder::Text => text(from.rest())?,
            Decoder::Char => Value::from(utf8(&from.array::<1>()?)?),
            Decoder::Bytes => Value::Bytes(Bytes::copy_from_slice(from.rest())),
            Decoder::Uuid => Value::Uuid(from.array()?),
            Decoder::Json => json(from.rest())?,
            Decoder::Jsonb => match from.array::<1>()? {
                [1] => json(from.rest())?,
                [version] => return Err(format!("jsonb of the version {version}")),
            },
            Decoder::Numeric => Value::from(numeric::text(from)?),
            Decoder::Date => Value::from(time::date(from.i32()?)),
            Decoder::Time => Value::from(time::time(from.i64()?)),
            Decoder::TimeZoned => Value::from(time::time_zoned(from.i64()?, from.i32()?)),
            Decoder::Timestamp => Value::from(time::timestamp(from.i64()?, "")),
            Decoder::TimestampZoned => Value::from(time::timestamp(from.i64()?, "Z")),
            Decoder::Interval => {
                let (micros, days, months) = (from.i64()?, from.i32()?, from.i32()?);
                Value::from(time::interval(micros, days, months))
            }
            Decoder::Array(element) => array(element, from)?,
        })
    }
}

/// Texts are often long.
fn text(bytes: &[u8]) -> Result<Value, String> {
    let text = Text::from_utf8(Bytes::copy_from_slice(bytes));
    text.map(Value::Text).map_err(|_| not_utf8())
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| not_utf8())
}

fn not_utf8() -> String {
    "text that is not UTF-8".into()
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    Value::from_json(bytes).map_err(|err| format!("json that can't be read: {err}"))
}

/// PostgreSQL's own limit, `MAXDIM`. Without it, a server could have lists nested to any depth.
const DIMENSIONS_MAX: i32 = 6;

/// An array: dimensions, a flag, the element's type, length and lower bound of each dimension, elements.
fn array(element: &Decoder, from: &mut Reader<'_>) -> Result<Value, String> {
    let dimensions = from.i32()?;
    if dimensions > DIMENSIONS_MAX {
        return Err("an array of too many dimensions".into());
    }
    let _has_nulls = from.i32()?;
    let _element_type = from.i32()?;
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        let length = usize::try_from(from.i32()?).map_err(|_| "an array of negative length")?;
        let _lower_bound = from.i32()?;
        lengths.push(length);
    }
    let mut items = Vec::new();
    // As many as there are bytes for, whatever the lengths claim.
    while !from.0.is_empty() {
        let length = from.i32()?;
        items.push(match usize::try_from(length) {
            Ok(length) => element.decode(from.take(length)?)?,
            Err(_) => Value::Null,
        });
    }
    let whole = lengths
        .iter()
        .try_fold(1_usize, |all, length| all.checked_mul(*length));
    let expected = if lengths.is_empty() { Some(0) } else { whole };
    if expected != Some(items.len()) {
        return Err("an array that is not as long as it says".into());
    }
    // An inner dimension groups the values into lists of its length.
    for length in lengths.iter().skip(1).rev() {
        let mut rest = items.into_iter();
        let mut lists = Vec::new();
        loop {
            let list: Vec<Value> = rest.by_ref().take(*length).collect();
            if list.is_empty() {
                break;
            }
            lists.push(Value::List(list));
        }
        items = lists;
    }
    Ok(Value::List(items))
}

#[cfg(test)]
mod tests;
