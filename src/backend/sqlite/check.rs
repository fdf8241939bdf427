//! Prepares a lookup's statement while the configuration is read, if the database is there.
//!
//! A missing, locked or broken file is not a problem of the configuration: it may be usable later. An error in the
//! statement itself is one, and so is a statement that writes, returns no columns, or returns two columns of the same
//! name.

use std::time::Duration;

use rusqlite::Statement;

use super::{Config, answer, store};
use crate::backend::rows::Rows;
use crate::config::{Place, Section};
use crate::error::Code;

/// How long reading the configuration waits for a locked database.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reports what is wrong with `sql` at `place`; `None` if anything is.
pub(super) fn prepare(
    config: &Config,
    sql: &str,
    rows: Rows,
    place: &Place,
    section: &Section<'_>,
) -> Option<()> {
    if !config.path.is_file() {
        return Some(());
    }
    let connection = store::connect(&config.path, config.value_bytes_max).ok();
    let Some(connection) = connection.filter(|open| open.busy_timeout(PATIENCE).is_ok()) else {
        return Some(());
    };
    match connection.prepare(sql) {
        Ok(statement) => columns(&statement, rows, place, section),
        Err(err) if answer::error(&err).code == Code::LookupRefused => {
            section.bad(place, format!("SQLite: {}", answer::message(&err)), None);
            None
        }
        Err(_) => Some(()),
    }
}

fn columns(
    statement: &Statement<'_>,
    rows: Rows,
    place: &Place,
    section: &Section<'_>,
) -> Option<()> {
    let help = || Some("a lookup is one `select` statement".to_owned());
    if !statement.readonly() {
        section.bad(place, "the statement writes", help());
        return None;
    }
    if statement.column_count() == 0 {
        section.bad(place, "the statement returns no columns", help());
        return None;
    }
    let names: Vec<&str> = statement.column_names().collect();
    let twice = names
        .iter()
        .enumerate()
        .find(|(at, name)| names[..*at].contains(name));
    match twice {
        Some((_, name)) if rows != Rows::Value => {
            section.document().problem(
                place,
                Code::ConfigClash,
                format!("two columns are called `{name}`"),
                Some(format!(
                    "name one of them with `as`: `t.{name} as t_{name}`"
                )),
            );
            None
        }
        _ => Some(()),
    }
}
