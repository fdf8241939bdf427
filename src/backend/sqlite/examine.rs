//! Finds the columns of each statement in a SQLite file, and the types that their declarations imply.
//!
//! Errors of a statement itself are reported when the configuration is read. SQLite does not enforce declared types: only
//! a column that is declared as text is certain to hold text (or bytes); all other types are treated as likely.

use rusqlite::Connection;

use super::{Config, Lookup, answer, store};
use crate::backend::examine::{Column, Examination, Finding, Param, Statement};
use crate::backend::{LookupError, Planned};
use crate::coerce::ColumnValues;
use crate::error::Code;

pub(super) async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
    let lookups = planned.iter().map(|planned| planned.lookup.clone());
    let lookups: Vec<Lookup> = lookups.collect();
    let (path, value_bytes_max) = (config.path.clone(), config.value_bytes_max);
    // It blocks.
    let prepared = tokio::task::spawn_blocking(move || {
        let opened = store::connect(&path, value_bytes_max);
        let connection = opened.map_err(|err| store::open_error(&path, &err))?;
        let found = lookups.iter().map(|lookup| finding(&connection, lookup));
        let found: rusqlite::Result<_> = found.collect();
        found.map_err(|err| answer::error(&err).at(path.display()))
    });
    let prepared: Result<Vec<Finding>, LookupError> = match prepared.await {
        Ok(examined) => examined,
        Err(_ended) => Err(LookupError::new(
            Code::ServerInternal,
            "the thread panicked",
        )),
    };
    match prepared {
        Ok(lookups) => Examination::prepared("opened", lookups),
        Err(err) => Examination::failed(err, planned.len()),
    }
}

fn finding(connection: &Connection, lookup: &Lookup) -> rusqlite::Result<Finding> {
    let prepared = match connection.prepare(&lookup.sql) {
        Ok(prepared) => prepared,
        Err(err) if answer::error(&err).code == Code::LookupRefused => {
            let message = format!("SQLite: {}", answer::message(&err));
            return Ok(Finding::refused(message, None));
        }
        Err(err) => return Err(err),
    };
    let columns = prepared.columns().map(|stored| {
        let declared = stored.decl_type().unwrap_or_default();
        let (holds, strict) = holds(declared);
        Column {
            name: stored.name().to_owned(),
            ty: declared.to_owned(),
            holds,
            strict,
            nullable: None,
        }
    });
    // A value of any type that can be bound.
    let params = std::iter::repeat_with(|| Param {
        ty: None,
        takes: Box::new(|value| answer::bindable(value).map_err(|err| err.detail)),
    });
    let statement = Statement {
        params: Some(params.take(prepared.parameter_count()).collect()),
        columns: columns.collect(),
        rows: lookup.rows,
    };
    Ok(statement.into())
}

/// The type that a declaration implies by SQLite's rules, and whether SQLite enforces it.
fn holds(declared: &str) -> (ColumnValues, bool) {
    let declared = declared.to_ascii_lowercase();
    let has = |word: &str| declared.contains(word);
    if has("int") {
        // Integers have no declared size: a warning for each column would not help.
        (ColumnValues::Integer(0..=1), false)
    } else if has("char") || has("clob") || has("text") {
        (ColumnValues::Text, true)
    } else if has("real") || has("floa") || has("doub") {
        (ColumnValues::Double, false)
    } else {
        (ColumnValues::Anything, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_follow_sqlites_rules() {
        assert_eq!(
            holds("BIGINT UNSIGNED"),
            (ColumnValues::Integer(0..=1), false)
        );
        assert_eq!(holds("varchar(3)"), (ColumnValues::Text, true));
        assert_eq!(holds("double precision"), (ColumnValues::Double, false));
        for unsure in ["", "date", "numeric(10, 2)", "blob", "boolean"] {
            assert_eq!(holds(unsure), (ColumnValues::Anything, false));
        }
    }
}
