//! Describes what a store reports about its lookups before any of them runs: the types between a kind and
//! `check --connect`.
//!
//! A kind connects to its store and fills an [`Examination`] in its own `examine`. Comparing it with the IDL is done
//! once for all kinds, in [`crate::program`]; nothing here knows the types of the IDL.

use std::fmt;
use std::future::Future;

use super::LookupError;
use super::rows::Rows;
use crate::coerce::ColumnValues;
use crate::error::Code;
use crate::supervise::Panics;
use crate::value::Value;

/// The result of connecting to a store.
#[derive(Debug, Default)]
pub struct Examination {
    /// What was done, in a few words for the operator, such as `connected, no request was made`.
    pub did: String,
    /// Where its servers are, if it had to be found out; a line each, shown whether or not all of them can be reached.
    pub found: Vec<String>,
    /// Why the store, or a part of it, can't be reached; empty if it can.
    pub failures: Vec<LookupError>,
    /// What is known about each lookup, in their order.
    pub lookups: Vec<Finding>,
}

/// What a store reports about one lookup.
#[derive(Debug, Default)]
pub struct Finding {
    /// Why it will never answer.
    pub refusals: Vec<Refusal>,
    /// Its parameters and columns, if the store reports them.
    pub statement: Option<Statement>,
}

/// A reason why a store will refuse a lookup.
#[derive(Debug)]
pub struct Refusal {
    /// The key of the lookup that has to change, with a dot before each key within a table.
    pub key: String,
    /// The stable code.
    pub code: Code,
    /// The store's message.
    pub message: String,
    /// How to fix it, if that is known.
    pub help: Option<String>,
}

/// A prepared statement.
#[derive(Debug)]
pub struct Statement {
    /// The parameters in the order of the lookup's own; `None` if the store does not report them.
    pub params: Option<Vec<Param>>,
    /// The columns in their order.
    pub columns: Vec<Column>,
    /// What the lookup makes of the rows.
    pub rows: Rows,
}

/// Tells whether a value can be bound; if not, why, unless the type of the parameter says it.
pub type Takes = Box<dyn Fn(&Value) -> Result<(), String> + Send>;

/// A parameter as the store reads it.
pub struct Param {
    /// The store's name of its type; `None` if the store takes a value of any type.
    pub ty: Option<String>,
    /// Whether a value can be bound to it.
    pub takes: Takes,
}

/// A column of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The store's name of its type; empty if it has none.
    pub ty: String,
    /// The kind of values it holds.
    pub holds: ColumnValues,
    /// Whether the store enforces the type: if not, a value of another type is unlikely, but possible.
    pub strict: bool,
    /// Whether it may be null; `None` if the store does not say.
    pub nullable: Option<bool>,
}

impl Examination {
    /// The store has prepared the statements of all lookups.
    pub(super) fn prepared(did: &str, lookups: Vec<Finding>) -> Self {
        let plural = if lookups.len() == 1 { "" } else { "s" };
        Examination {
            did: format!("{did}, {} statement{plural} prepared", lookups.len()),
            found: Vec::new(),
            failures: Vec::new(),
            lookups,
        }
    }

    /// Nothing is known about any of `lookups` lookups.
    pub fn nothing(did: impl Into<String>, lookups: usize) -> Self {
        Examination {
            did: did.into(),
            found: Vec::new(),
            failures: Vec::new(),
            lookups: std::iter::repeat_with(Finding::default)
                .take(lookups)
                .collect(),
        }
    }

    /// The store can't be reached, or refuses the connection.
    pub fn failed(err: LookupError, lookups: usize) -> Self {
        Examination {
            failures: vec![err],
            ..Examination::nothing("", lookups)
        }
    }

    /// What a kind finds out about its store. A panic, most likely of the store's client, costs this store only.
    pub async fn of(examining: impl Future<Output = Self>, lookups: usize) -> Self {
        let examined = Panics::default().catch(examining).await;
        examined.unwrap_or_else(|panic| {
            let why = format!("the client of the store panicked: {panic}");
            Examination::failed(LookupError::new(Code::ServerInternal, why), lookups)
        })
    }
}

impl Finding {
    /// The store refuses the lookup's SQL.
    pub(super) fn refused(message: impl Into<String>, help: Option<String>) -> Self {
        Finding {
            refusals: vec![Refusal {
                key: "sql".into(),
                code: Code::ConfigBadValue,
                message: message.into(),
                help,
            }],
            statement: None,
        }
    }
}

impl From<Statement> for Finding {
    fn from(statement: Statement) -> Self {
        Finding {
            refusals: Vec::new(),
            statement: Some(statement),
        }
    }
}

impl Statement {
    /// Refuses a statement without columns, and one with two columns of the same name, as every kind does when it runs one.
    pub(super) fn check(&self) -> Option<Refusal> {
        let refusal = |code, message: String, help: String| {
            Some(Refusal {
                key: "sql".into(),
                code,
                message,
                help: Some(help),
            })
        };
        if self.columns.is_empty() {
            let help = "a lookup is one `select` statement".to_owned();
            return refusal(
                Code::ConfigBadValue,
                "the statement returns no columns".into(),
                help,
            );
        }
        let twice = self.columns.iter().enumerate().find(|(at, column)| {
            let before = &self.columns[..*at];
            before.iter().any(|have| have.name == column.name)
        });
        match twice {
            Some((_, Column { name, .. })) if self.rows != Rows::Value => {
                let help = format!("name one of them with `as`: `t.{name} as t_{name}`");
                refusal(
                    Code::ConfigClash,
                    format!("two columns are called `{name}`"),
                    help,
                )
            }
            _ => None,
        }
    }

    /// Refuses a batch without the column that assigns its rows to lookups.
    pub(super) fn check_key(&self, key: &str) -> Option<Refusal> {
        let found = self.columns.iter().any(|column| column.name == key);
        let names = self.columns.iter().map(|column| &*column.name);
        (!found).then(|| Refusal {
            key: "batch".into(),
            code: Code::ConfigUnknownName,
            message: format!("no column is called `{key}` (`batch.key`)"),
            help: Some(format!("available: {}", crate::diagnostic::list(names))),
        })
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Param")
            .field("ty", &self.ty)
            .finish_non_exhaustive()
    }
}
