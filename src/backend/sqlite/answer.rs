//! Runs one statement on an open connection: binds values, reads rows, classifies failures.
//!
//! SQLite's five kinds map one to one: INTEGER, REAL, TEXT, BLOB and NULL; text that is not UTF-8 is bytes.
//! A list, map or record is bound as JSON text, for `json_each(:ids)`.

use std::borrow::Cow;

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, Row};
use tokio::time::Instant;

use super::job::Job;
use crate::backend::sql::{enum_name, json_text};
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::value::{FieldNames, Record, Text, Value, uuid_text};

/// Asks; `names` are the columns of the statement's last rows, kept for the next ones.
pub(super) fn ask(
    connection: &Connection,
    job: &Job,
    names: &mut Option<FieldNames>,
) -> Result<Answer, LookupError> {
    let mut statement = connection
        .prepare_cached(&job.sql)
        .map_err(|err| error(&err))?;
    for (at, value) in job.params.iter().enumerate() {
        bind(&mut statement, at + 1, value)?;
    }
    let mut first_answer = None;
    let mut rows = statement.raw_query();
    let records = std::iter::from_fn(|| match rows.next() {
        Ok(None) => None,
        Ok(Some(row)) => {
            if first_answer.is_none() {
                first_answer = Some(Instant::now());
                keep_names(row, names);
            }
            Some(record(row, names.as_ref()?))
        }
        Err(err) => Some(Err(error(&err))),
    });
    let value = job.rows.shape(records)?;
    Ok(Answer {
        first_answer,
        ..Answer::new(value)
    })
}

fn bind(statement: &mut CachedStatement<'_>, at: usize, value: &Value) -> Result<(), LookupError> {
    statement
        .raw_bind_parameter(at, bound(value)?)
        .map_err(|err| match err.sqlite_error_code() {
            Some(ErrorCode::TooBig) => LookupError::new(Code::LookupBadParam, err.to_string()),
            _ => error(&err),
        })
}

/// Whether `value` can be bound.
pub(super) fn bindable(value: &Value) -> Result<(), LookupError> {
    bound(value).map(drop)
}

fn bound(value: &Value) -> Result<ToSqlOutput<'_>, LookupError> {
    let borrowed = match value {
        Value::Null => ValueRef::Null,
        Value::Bool(bit) => ValueRef::Integer(i64::from(*bit)),
        Value::I64(number) => ValueRef::Integer(*number),
        // SQLite would store it as null.
        Value::Double(number) if number.is_nan() => {
            let detail = "a double that is not a number can't be bound";
            return Err(LookupError::new(Code::LookupBadParam, detail));
        }
        Value::Double(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Bytes(bytes) => ValueRef::Blob(bytes),
        Value::Uuid(uuid) => return Ok(uuid_text(uuid).into()),
        Value::Enum(of) => ValueRef::Text(enum_name(of)?.as_bytes()),
        Value::List(_) | Value::Map(_) | Value::Record(_) => return Ok(json_text(value)?.into()),
    };
    Ok(ToSqlOutput::Borrowed(borrowed))
}

/// Takes the row's column names unless they are those of the last rows: a statement's columns change only
/// with the schema.
fn keep_names(row: &Row<'_>, names: &mut Option<FieldNames>) {
    let columns = || row.as_ref().column_names();
    let same = names.as_ref().is_some_and(|names| {
        names.len() == columns().len() && columns().zip(names.iter()).all(|(a, b)| a == &**b)
    });
    if !same {
        *names = Some(FieldNames::new(columns()));
    }
}

fn record(row: &Row<'_>, names: &FieldNames) -> Result<Record, LookupError> {
    let values = (0..names.len())
        .map(|column| row.get_ref(column).map(value))
        .collect::<Result<_, _>>()
        .map_err(|err| error(&err))?;
    Ok(Record {
        names: names.clone(),
        values,
    })
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::I64(number),
        ValueRef::Real(number) => Value::Double(number),
        ValueRef::Text(text) => {
            Text::from_utf8(Bytes::copy_from_slice(text)).map_or_else(Value::Bytes, Value::Text)
        }
        ValueRef::Blob(blob) => Value::Bytes(Bytes::copy_from_slice(blob)),
    }
}

/// What a failure in SQLite means for a lookup.
pub(super) fn error(err: &rusqlite::Error) -> LookupError {
    let code = match failure(err) {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::SchemaChanged,
        ) => Code::LookupUnavailable,
        Some(ErrorCode::ReadOnly) if !is_plain_read_only(err) => Code::LookupUnavailable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Code::LookupBadAnswer,
        Some(ErrorCode::OperationInterrupted) => Code::LookupTimeout,
        _ => Code::LookupRefused,
    };
    LookupError::new(code, message(err))
}

fn failure(err: &rusqlite::Error) -> Option<ErrorCode> {
    match err {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        _ => err.sqlite_error_code(),
    }
}

/// The extended codes of "read only" mean a journal that has to be rolled back first, or a moved file.
fn is_plain_read_only(err: &rusqlite::Error) -> bool {
    err.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_READONLY)
}

/// SQLite's own message.
pub(super) fn message(err: &rusqlite::Error) -> Cow<'_, str> {
    match err {
        rusqlite::Error::SqlInputError { msg, .. } => Cow::Borrowed(msg),
        rusqlite::Error::SqliteFailure(_, Some(message)) => Cow::Borrowed(message),
        other => Cow::Owned(other.to_string()),
    }
}
