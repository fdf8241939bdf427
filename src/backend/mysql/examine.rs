//! What MySQL or MariaDB says of the statements: types of columns, and which of them may be null.
//!
//! Statements are prepared, which runs nothing. The server does not tell the types of parameters: it takes what comes.
//! `not null` is told of columns of tables only.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Column as Stored, Conn};

use super::config::Config;
use super::error;
use super::lane;
use super::lookup::Lookup;
use super::value::BINARY;
use crate::backend::examine::{Column, Examination, Finding, Holds, Statement};
use crate::backend::{LookupError, Planned};

pub(super) async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
    let asked = async {
        let settings = lane::Settings::new(config, planned);
        let (mut connection, _) = lane::connect(&settings).await?;
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

async fn finding(connection: &mut Conn, lookup: &Lookup) -> Result<Finding, LookupError> {
    let prepared = match connection.prep(&*lookup.sql).await {
        Ok(prepared) => prepared,
        Err(err) if error::ends_session(&err) => return Err(error::lookup_error(&err)),
        Err(mysql_async::Error::Server(said)) => {
            let message = format!("MySQL: {} ({})", said.message, said.code);
            return Ok(Finding::refused(message, None));
        }
        Err(err) => return Ok(Finding::refused(format!("MySQL: {err}"), None)),
    };
    let statement = Statement {
        params: None,
        columns: prepared.columns().iter().map(column).collect(),
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

/// `bigint unsigned`, much as SQL has it.
fn name_of(stored: &Stored) -> String {
    let binary = stored.character_set() == BINARY;
    let name = match stored.column_type() {
        ColumnType::MYSQL_TYPE_TINY => "tinyint",
        ColumnType::MYSQL_TYPE_SHORT => "smallint",
        ColumnType::MYSQL_TYPE_INT24 => "mediumint",
        ColumnType::MYSQL_TYPE_LONG => "int",
        ColumnType::MYSQL_TYPE_LONGLONG => "bigint",
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => "decimal",
        ColumnType::MYSQL_TYPE_STRING if binary => "binary",
        ColumnType::MYSQL_TYPE_STRING => "char",
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING if binary => "varbinary",
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING => "varchar",
        ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB => {
            if binary {
                "blob"
            } else {
                "text"
            }
        }
        other => {
            let name = format!("{other:?}").to_lowercase();
            return name.trim_start_matches("mysql_type_").to_owned();
        }
    };
    let unsigned = stored.flags().contains(ColumnFlags::UNSIGNED_FLAG) && is_integer(stored);
    format!("{name}{}", if unsigned { " unsigned" } else { "" })
}

fn is_integer(stored: &Stored) -> bool {
    matches!(holds(stored), Holds::Integer(_))
}

fn holds(stored: &Stored) -> Holds {
    let unsigned = stored.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let integer = |bits: u32| {
        // What is beyond an i64 is refused as such, whatever it fills.
        let max = i64::MAX >> (64 - bits);
        Holds::Integer(match (unsigned, bits) {
            (true, 64) => 0..=i64::MAX,
            (true, _) => 0..=max * 2 + 1,
            (false, _) => -max - 1..=max,
        })
    };
    match stored.column_type() {
        ColumnType::MYSQL_TYPE_TINY => integer(8),
        ColumnType::MYSQL_TYPE_SHORT => integer(16),
        ColumnType::MYSQL_TYPE_INT24 => integer(24),
        ColumnType::MYSQL_TYPE_LONG => integer(32),
        ColumnType::MYSQL_TYPE_LONGLONG => integer(64),
        ColumnType::MYSQL_TYPE_YEAR => Holds::Integer(0..=9999),
        ColumnType::MYSQL_TYPE_BIT => Holds::Integer(match stored.column_length() {
            bits @ 1..=62 => 0..=(1_i64 << bits) - 1,
            _ => 0..=i64::MAX,
        }),
        ColumnType::MYSQL_TYPE_FLOAT | ColumnType::MYSQL_TYPE_DOUBLE => Holds::Double,
        ColumnType::MYSQL_TYPE_JSON => Holds::Json,
        ColumnType::MYSQL_TYPE_DECIMAL
        | ColumnType::MYSQL_TYPE_NEWDECIMAL
        | ColumnType::MYSQL_TYPE_DATE
        | ColumnType::MYSQL_TYPE_NEWDATE
        | ColumnType::MYSQL_TYPE_DATETIME
        | ColumnType::MYSQL_TYPE_TIMESTAMP
        | ColumnType::MYSQL_TYPE_TIME => Holds::Figures,
        ColumnType::MYSQL_TYPE_VARCHAR
        | ColumnType::MYSQL_TYPE_VAR_STRING
        | ColumnType::MYSQL_TYPE_STRING
        | ColumnType::MYSQL_TYPE_ENUM
        | ColumnType::MYSQL_TYPE_SET
        | ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB
            if stored.character_set() != BINARY =>
        {
            Holds::Text
        }
        ColumnType::MYSQL_TYPE_VARCHAR
        | ColumnType::MYSQL_TYPE_VAR_STRING
        | ColumnType::MYSQL_TYPE_STRING
        | ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB
        | ColumnType::MYSQL_TYPE_GEOMETRY
        | ColumnType::MYSQL_TYPE_VECTOR => Holds::Bytes,
        // Of null, of a parameter, or not known here.
        _ => Holds::Anything,
    }
}
