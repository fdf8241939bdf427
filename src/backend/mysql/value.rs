//! Converts MySQL's values to our own, exactly, and parameters to MySQL's.
//!
//! Decimals become their text; dates and times ISO 8601 text (a `timestamp` with `Z`: sessions are in UTC); `bit`
//! an integer; text of the character set `binary` bytes. MySQL's `json` is parsed; MariaDB sends its clients `json` as
//! text, and it stays text. An unsigned integer beyond `i64` is an error, not another number.

use std::fmt::Write as _;

use bytes::Bytes;
use mysql_common::constants::ColumnType;
use mysql_common::packets::Column;
use mysql_common::value::Value as Stored;

use super::types::{Kind, type_of};
use crate::backend::{
    LookupError,
    format::bad_answer,
    sql::{enum_name, json_text},
};
use crate::error::Code;
use crate::value::{Text, Value, uuid_text};

/// One value of a row.
pub(super) fn value(column: &Column, stored: Stored) -> Result<Value, LookupError> {
    match stored {
        Stored::NULL => Ok(Value::Null),
        Stored::Int(number) => Ok(Value::I64(number)),
        Stored::UInt(number) => integer(column, number),
        Stored::Float(number) => Ok(Value::Double(f64::from(number))),
        Stored::Double(number) => Ok(Value::Double(number)),
        Stored::Bytes(bytes) => from_bytes(column, bytes),
        Stored::Date(..) => Ok(date(column, &stored).into()),
        Stored::Time(..) => Ok(time(&stored).into()),
    }
}

/// The value of one parameter.
pub(super) fn param(value: &Value) -> Result<Stored, LookupError> {
    Ok(match value {
        Value::Null => Stored::NULL,
        Value::Bool(bit) => Stored::Int(i64::from(*bit)),
        Value::I64(number) => Stored::Int(*number),
        Value::Double(number) if !number.is_finite() => {
            let detail = "a double that is not finite can't be bound";
            return Err(LookupError::new(Code::LookupBadParam, detail));
        }
        Value::Double(number) => Stored::Double(*number),
        Value::Text(text) => Stored::Bytes(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Stored::Bytes(bytes.to_vec()),
        Value::Uuid(uuid) => Stored::Bytes(uuid_text(uuid).into_bytes()),
        Value::Enum(of) => Stored::Bytes(enum_name(of)?.as_bytes().to_vec()),
        Value::List(_) | Value::Map(_) | Value::Record(_) => {
            Stored::Bytes(json_text(value)?.into_bytes())
        }
    })
}

fn integer(column: &Column, number: u64) -> Result<Value, LookupError> {
    i64::try_from(number).map(Value::I64).map_err(|_| {
        bad_answer(format!(
            "{number} in the column `{}` is larger than any i64",
            column.name_str()
        ))
    })
}

fn from_bytes(column: &Column, bytes: Vec<u8>) -> Result<Value, LookupError> {
    let text =
        |bytes: Vec<u8>| Text::from_utf8(Bytes::from(bytes)).map_or_else(Value::Bytes, Value::Text);
    match type_of(column) {
        (_, Kind::Decimal | Kind::Text) => Ok(text(bytes)),
        (_, Kind::Bit) if bytes.len() <= 8 => {
            let number = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            integer(column, number)
        }
        (_, Kind::Json) => Value::from_json(&bytes).map_err(|err| {
            bad_answer(format!(
                "not JSON in the column `{}`: {err}",
                column.name_str()
            ))
        }),
        (_, Kind::Bytes) => Ok(Value::Bytes(bytes.into())),
        (name, _) => Err(bad_answer(format!(
            "the column `{}` of the type {name} holds what is not known here",
            column.name_str()
        ))),
    }
}

/// `2013-01-01`, `2013-01-01T05:15:00.25`, and with `Z` from a `timestamp`.
fn date(column: &Column, stored: &Stored) -> String {
    let Stored::Date(year, month, day, hour, minute, second, micros) = *stored else {
        return String::new();
    };
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    let kind = column.column_type();
    if matches!(
        kind,
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE
    ) {
        return text;
    }
    write!(text, "T{hour:02}:{minute:02}:{second:02}").expect("text takes everything");
    fraction(&mut text, micros);
    if kind == ColumnType::MYSQL_TYPE_TIMESTAMP {
        text.push('Z');
    }
    text
}

/// `05:15:00`, `-838:59:59`: hours go on beyond a day.
fn time(stored: &Stored) -> String {
    let Stored::Time(negative, days, hours, minutes, seconds, micros) = *stored else {
        return String::new();
    };
    let sign = if negative { "-" } else { "" };
    let hours = u64::from(days) * 24 + u64::from(hours);
    let mut text = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    fraction(&mut text, micros);
    text
}

/// Six digits if there is a fraction.
fn fraction(text: &mut String, micros: u32) {
    if micros != 0 {
        write!(text, ".{micros:06}").expect("text takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ColumnType, bytes: &[u8]) -> Result<Value, Code> {
        value(&Column::new(kind), Stored::Bytes(bytes.to_vec())).map_err(|err| err.code)
    }

    #[test]
    fn json_is_parsed_and_bits_are_integers() {
        let json = of(ColumnType::MYSQL_TYPE_JSON, b"[1, null]");
        assert_eq!(json, Ok(Value::List(vec![1.into(), Value::Null])));
        let broken = of(ColumnType::MYSQL_TYPE_JSON, b"[1,");
        assert_eq!(broken, Err(Code::LookupBadAnswer));
        let bits = of(ColumnType::MYSQL_TYPE_BIT, &[1, 2]);
        assert_eq!(bits, Ok(Value::I64(258)));
        for bad in [&[0xff; 8][..], &[0; 9]] {
            let bits = of(ColumnType::MYSQL_TYPE_BIT, bad);
            assert_eq!(bits, Err(Code::LookupBadAnswer));
        }
    }

    #[test]
    fn values_of_unknown_types_are_bad_answers() {
        for kind in [
            ColumnType::MYSQL_TYPE_TYPED_ARRAY,
            ColumnType::MYSQL_TYPE_UNKNOWN,
        ] {
            assert_eq!(of(kind, b"x"), Err(Code::LookupBadAnswer), "{kind:?}");
        }
    }

    #[test]
    fn doubles_that_are_not_numbers_are_not_bound() {
        for number in [f64::NAN, f64::INFINITY] {
            let err = param(&number.into()).unwrap_err();
            assert_eq!(err.code, Code::LookupBadParam);
        }
    }
}
