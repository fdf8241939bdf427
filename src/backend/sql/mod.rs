//! Reads the `sql` key of a lookup: finds its `:name` parameters and rewrites them for a driver.
//!
//! In: SQL as the operator wrote it. Out: a [`Statement`] whose parameters are bound by position, and their
//! names in order of first mention. Nothing is ever spliced into SQL. The text is not parsed: only the store
//! knows whether it is valid.

mod statement;
mod scan; // finds parameters
mod json; // lists and maps as parameters

use std::sync::atomic::{AtomicBool, Ordering};
#[expect(
    clippy::disallowed_types,
    reason = "taken only when a statement is refused"
)]
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::{LookupError, Planned};
use crate::config::Section;
use crate::error::Code;
use crate::log_limit::LogLimit;

pub use self::json::{enum_name, json_text};
pub use self::scan::scan;
pub use self::statement::{Mistake, Statement, Style};

/// Takes the key `sql` of a lookup; mistakes are reported there.
pub fn read(section: &mut Section<'_>, style: Style) -> Option<(Statement, crate::config::Place)> {
    let example = "sql = \"select * from users where id = :id\"";
    let (text, place) = section.required_string("sql", example)?;
    match scan(&text, style) {
        Ok(mut statement) => {
            for doubt in std::mem::take(&mut statement.doubts) {
                let document = section.document();
                document.warning(&place, Code::ConfigBadValue, doubt.message, doubt.help);
            }
            Some((statement, place))
        }
        Err(mistakes) => {
            for mistake in mistakes {
                let document = section.document();
                document.problem(&place, Code::ConfigBadValue, mistake.message, mistake.help);
            }
            None
        }
    }
}

/// How long a server may run a statement of these lookups: the longest time that a caller may wait for any of them, but
/// no longer than configured.
pub(in crate::backend) fn statement_timeout<L>(
    configured: Duration,
    planned: &[Planned<'_, L>],
) -> Duration {
    let longest = planned.iter().map(|planned| planned.budget).max();
    longest.map_or(configured, |longest| longest.min(configured))
}

/// Describes how lookups of one statement are batched.
pub(in crate::backend) fn batching(max: usize, key: &str) -> String {
    format!(
        "one question per iteration of the event loop, at most {max} values, answers matched by column `{key}`"
    )
}

/// Logs that a statement can't be prepared once, for all connections of all loops together. If the server refuses it to
/// some connections and prepares it for others, that is logged at a limited rate.
#[derive(Clone, Debug, Default)]
pub(in crate::backend) struct Warned(Arc<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    /// The last refusal is logged, and no connection has prepared the statement since.
    logged: AtomicBool,
    #[expect(
        clippy::disallowed_types,
        reason = "taken only when a statement is refused"
    )]
    limit: Mutex<LogLimit<()>>,
}

impl Warned {
    /// Logs why the server refuses `lookup`'s statement, unless that has been logged.
    pub(in crate::backend) fn refused(&self, lookup: &str, err: &LookupError) {
        let refusals = &*self.0;
        if refusals.logged.load(Ordering::Relaxed) {
            return;
        }
        let limit = refusals
            .limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(suppressed) = limit.allow(()) {
            refusals.logged.store(true, Ordering::Relaxed);
            let (code, detail) = (err.code, &*err.detail);
            warn!(lookup, %code, detail, suppressed, "a lookup's statement can't be prepared");
        }
    }

    /// Records that the statement is prepared: the next refusal is logged again.
    pub(in crate::backend) fn prepared(&self) {
        self.0.logged.store(false, Ordering::Relaxed);
    }
}
