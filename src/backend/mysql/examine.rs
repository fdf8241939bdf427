//! Asks MySQL or MariaDB about the statements: the types of columns, and which of them may be null.
//!
//! Statements are prepared, which runs nothing. The server does not report the types of parameters: it accepts any.
//! `not null` is known only for columns of tables.

use mysql_common::constants::ColumnFlags;
use mysql_common::packets::Column as Stored;

use super::client::Connection;
use super::config::Config;
use super::error::{self, Error};
use super::lookup::Lookup;
use super::types::{Kind, type_of};
use super::{pool, query, value};
use crate::backend::examine::{Column, Examination, Finding, Param, Statement};
use crate::backend::{LookupError, Planned};
use crate::coerce::ColumnValues;
use crate::value::Value;

pub(super) async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
    let asked = async {
        let settings = pool::Settings::new(config, planned);
        let mut connection = pool::connect(&settings).await?;
        let mut lookups = Vec::with_capacity(planned.len());
        for planned in planned {
            lookups.push(finding(&mut connection, planned.lookup).await?);
        }
        Ok(lookups)
    };
    match asked.await {
        Ok(lookups) => Examination::prepared("connected", lookups),
        Err(err) => Examination::failed(err, planned.len()),
    }
}

async fn finding(connection: &mut Connection, lookup: &Lookup) -> Result<Finding, LookupError> {
    if let Some(word) = lookup.writes {
        let message = format!("the statement writes (`{word}`), and sessions are read-only");
        let help = "a lookup is one `select` statement".to_owned();
        return Ok(Finding::refused(message, Some(help)));
    }
    let prepared = match connection.prepare(&lookup.sql).await {
        Ok(prepared) => prepared,
        Err(err) if error::ends_session(&err) => return Err(error::lookup_error(&err)),
        Err(Error::Server(said)) => {
            let message = format!("MySQL: {} ({})", said.message, said.code);
            return Ok(Finding::refused(message, None));
        }
        Err(err) => return Ok(Finding::refused(err.to_string(), None)),
    };
    let params = std::iter::repeat_with(|| param(lookup, &prepared));
    let statement = Statement {
        params: Some(params.take(lookup.param_count()).collect()),
        columns: prepared.iter().map(column).collect(),
        rows: lookup.rows,
    };
    let key = lookup.batch.as_ref();
    let unknown = key.and_then(|batch| statement.check_key(&batch.key));
    let refusals = statement.check().into_iter().chain(unknown);
    Ok(Finding {
        refusals: refusals.collect(),
        statement: Some(statement),
    })
}

/// A parameter: the server takes any value that can be bound, and a batch compares its key's column with the parameter.
fn param(lookup: &Lookup, columns: &[Stored]) -> Param {
    let key = lookup.batch.as_ref();
    let key = key.and_then(|batch| {
        columns
            .iter()
            .find(|column| column.name_str() == *batch.key)
    });
    let column = key.map(|key| (key.name_str().into_owned(), KeyColumn::of(key)));
    let batches = lookup.batch.is_some();
    Param {
        ty: None,
        takes: Box::new(move |sample| {
            value::param(sample).map_err(|err| err.detail)?;
            if batches && query::key(sample).is_none() {
                return Err(format!("{} can't be the key of a batch", sample.kind()));
            }
            match (&column, sample) {
                (Some((name, KeyColumn::Number)), Value::Enum(_)) => Err(format!(
                    "column `{name}` holds numbers, and `enums` says `\"name\"`"
                )),
                (Some((name, KeyColumn::Enum)), Value::I64(_)) => Err(format!(
                    "column `{name}` is an enum, which has names (`enums = \"name\"`)"
                )),
                _ => Ok(()),
            }
        }),
    }
}

/// What the column of a batch's key holds, as far as values of enums are concerned.
enum KeyColumn {
    Number,
    Enum,
    Other,
}

impl KeyColumn {
    fn of(stored: &Stored) -> Self {
        match type_of(stored).1 {
            Kind::Integer(_) | Kind::Year | Kind::Bit | Kind::Double | Kind::Decimal => {
                KeyColumn::Number
            }
            _ if stored.flags().contains(ColumnFlags::ENUM_FLAG) => KeyColumn::Enum,
            _ => KeyColumn::Other,
        }
    }
}

fn column(stored: &Stored) -> Column {
    let of_table = !stored.org_table_ref().is_empty();
    let not_null = stored.flags().contains(ColumnFlags::NOT_NULL_FLAG);
    Column {
        name: stored.name_str().into_owned(),
        ty: name_of(stored),
        holds: holds(stored),
        strict: true,
        nullable: of_table.then_some(!not_null),
    }
}

/// Nearly as in SQL, such as `bigint unsigned`.
fn name_of(stored: &Stored) -> String {
    let (name, kind) = type_of(stored);
    let unsigned = matches!(kind, Kind::Integer(_)) && is_unsigned(stored);
    format!("{name}{}", if unsigned { " unsigned" } else { "" })
}

fn is_unsigned(stored: &Stored) -> bool {
    stored.flags().contains(ColumnFlags::UNSIGNED_FLAG)
}

fn holds(stored: &Stored) -> ColumnValues {
    match type_of(stored).1 {
        Kind::Integer(bits) => {
            // A value beyond an i64 is refused anyway, whatever it fills.
            let max = i64::MAX >> (64 - bits);
            ColumnValues::Integer(match (is_unsigned(stored), bits) {
                (true, 64) => 0..=i64::MAX,
                (true, _) => 0..=max * 2 + 1,
                (false, _) => -max - 1..=max,
            })
        }
        Kind::Year => ColumnValues::Integer(0..=9999),
        Kind::Bit => ColumnValues::Integer(match stored.column_length() {
            bits @ 1..=62 => 0..=(1_i64 << bits) - 1,
            _ => 0..=i64::MAX,
        }),
        Kind::Double => ColumnValues::Double,
        Kind::Json => ColumnValues::Json,
        Kind::Decimal | Kind::Time => ColumnValues::Figures,
        Kind::Text => ColumnValues::Text,
        Kind::Bytes => ColumnValues::Bytes,
        Kind::Unknown => ColumnValues::Anything,
    }
}
