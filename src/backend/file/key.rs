//! The rules by which a cell equals a value.
//!
//! Text equals the same text; an integer, double or bool equals the text that spells it plainly (`5` is `"5"` and
//! `5.0`, but not `"05"`), because untyped CSV cells are text. Null, lists and maps equal nothing.

use std::borrow::Cow;
use std::io::Write as _;

use super::cell::Cell;
use super::table::Row;
use crate::value::{Value, uuid_text};

/// The text by which `value` is compared; `None` if it equals nothing.
pub(super) fn key(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
        Value::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        other => {
            let mut key = Vec::new();
            write_key(other, &mut key).then_some(Cow::Owned(key))
        }
    }
}

/// Appends to `key` the text by which `value` is compared; false if it equals nothing.
pub(super) fn write_key(value: &Value, key: &mut Vec<u8>) -> bool {
    match value {
        Value::Text(text) => key.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => key.extend_from_slice(bytes),
        Value::Bool(bit) => key.extend_from_slice(if *bit { b"true" } else { b"false" }),
        Value::I64(number) => print(key, format_args!("{number}")),
        Value::Double(number) => match as_integer(*number) {
            Some(integer) => print(key, format_args!("{integer}")),
            None => print(key, format_args!("{number}")),
        },
        Value::Uuid(uuid) => key.extend_from_slice(uuid_text(uuid).as_bytes()),
        Value::Enum(of) => match of.name() {
            Ok(name) => key.extend_from_slice(name.as_bytes()),
            Err(_) => return false,
        },
        Value::Null | Value::List(_) | Value::Map(_) | Value::Record(_) => return false,
    }
    true
}

/// Calls `with` with the text by which a cell is compared; `None` if it equals nothing. `scratch` is for reuse.
#[inline]
pub(super) fn with_key<R>(
    row: Row<'_>,
    cell: Cell,
    scratch: &mut Vec<u8>,
    with: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    if let Some(text) = cell.text(row.block) {
        return Some(with(text));
    }
    if cell.nulls() > 0 {
        return None;
    }
    scratch.clear();
    write_key(&cell.value(row.block), scratch).then(|| with(scratch))
}

/// Whether a cell equals the value whose key is `key`; `scratch` is for reuse.
#[inline]
pub(super) fn equals(row: Row<'_>, column: usize, key: &[u8], scratch: &mut Vec<u8>) -> bool {
    with_key(row, row.cell(column), scratch, |text| text == key) == Some(true)
}

fn print(key: &mut Vec<u8>, number: std::fmt::Arguments<'_>) {
    key.write_fmt(number).expect("a Vec takes any bytes");
}

/// The integer that `number` is exactly, if it is one.
fn as_integer(number: f64) -> Option<i64> {
    // 2^63: the first double that is too large.
    let fits = number.fract() == 0.0
        && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
    fits.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::super::cell::write;
    use super::super::table::{Packed, Table};
    use super::*;
    use crate::value::FieldNames;

    #[track_caller]
    fn check(cell: impl Into<Value>, value: impl Into<Value>, expected: bool) {
        let (cell, value) = (cell.into(), value.into());
        let mut packed = Packed::new(0);
        write(&cell, packed.cell());
        packed.end_row().unwrap();
        let table = Table::new(FieldNames::new(["a"]), [packed]).unwrap();
        let key = key(&value);
        let same = key.is_some_and(|key| equals(table.row(0), 0, &key, &mut Vec::new()));
        assert_eq!(same, expected, "{cell:?} {value:?}");
    }

    #[test]
    fn equality_is_exact_across_kinds() {
        check("JFK", "JFK", true);
        check("JFK", "jfk", false);
        check("5", 5, true);
        check("05", 5, false);
        check(5, "5", true);
        check(5.0, 5, true);
        check(-0.0, 0, true);
        check(1.5, "1.5", true);
        check(i64::MAX, 9_223_372_036_854_775_807.0, false);
        check(1_i64 << 60, 1_152_921_504_606_846_976.0, true);
        check(true, "true", true);
        check(Value::Null, "", false);
        check("", Value::Null, false);
        check(Value::List(vec![]), "", false);
        check(f64::INFINITY, "inf", true);
    }
}
