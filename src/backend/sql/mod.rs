//! Reads the `sql` key of a lookup: finds its `:name` parameters and rewrites them for a driver.
//!
//! In: SQL as the operator wrote it. Out: a [`Statement`] whose parameters are bound by position, and their
//! names in order of first mention. Nothing is ever spliced into SQL. The text is not parsed: only the store
//! knows whether it is valid.

mod json;
mod scan;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::warn;

use super::{LookupError, Planned};
use crate::config::Section;
use crate::error::Code;

pub use json::json_text;
pub use scan::scan;

/// How a driver writes a bound parameter, which also tells the dialect's quotes and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `?1`: SQLite.
    Numbered,
    /// `$1`: PostgreSQL.
    Dollar,
    /// `?`, once per mention: MySQL.
    Question,
}

/// One SQL statement with its parameters found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text for the driver.
    pub text: String,
    /// The parameters' names, each once, in order of first mention.
    pub params: Vec<Arc<str>>,
    /// For each placeholder in the text, the index of its parameter in `params`.
    pub slots: Vec<usize>,
}

/// A mistake in an SQL text that is found without a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

impl Mistake {
    fn new(message: impl Into<String>, help: &str) -> Self {
        Mistake {
            message: message.into(),
            help: Some(help.into()),
        }
    }
}

/// Takes the key `sql` of a lookup; mistakes are reported there.
pub fn read(section: &mut Section<'_>, style: Style) -> Option<(Statement, crate::config::Place)> {
    let example = "sql = \"select * from users where id = :id\"";
    let (text, place) = section.required_string("sql", example)?;
    match scan(&text, style) {
        Ok(statement) => Some((statement, place)),
        Err(mistakes) => {
            for mistake in mistakes {
                let document = section.document();
                document.problem(&place, Code::ConfigBadValue, mistake.message, mistake.help);
            }
            None
        }
    }
}

/// How long a server may run a statement of these lookups: as long as a caller may wait for any of them, but no longer
/// than configured.
pub(in crate::backend) fn statement_timeout<L>(
    configured: Duration,
    planned: &[Planned<'_, L>],
) -> Duration {
    let longest = planned.iter().map(|planned| planned.budget).max();
    longest.map_or(configured, |longest| longest.min(configured))
}

/// Describes how lookups of one statement travel together.
pub(in crate::backend) fn batching(max: usize, key: &str) -> String {
    format!(
        "one question per turn of the loop, at most {max} values, answers matched by column `{key}`"
    )
}

/// Logs that a statement can't be prepared once, for all connections of all loops together.
#[derive(Clone, Debug, Default)]
pub(in crate::backend) struct Warned(Arc<AtomicBool>);

impl Warned {
    /// Logs why the server refuses `lookup`'s statement, unless that has been logged.
    pub(in crate::backend) fn refused(&self, lookup: &str, err: &LookupError) {
        if !self.0.swap(true, Ordering::Relaxed) {
            warn!(lookup, code = %err.code, detail = err.detail, "a lookup's statement can't be prepared");
        }
    }

    /// The statement is prepared: the next refusal is logged again.
    pub(in crate::backend) fn prepared(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
