//! An SQL statement with its parameters found.

use std::sync::Arc;

/// How a driver writes a bound parameter. This also determines the dialect's quotes and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `?1`: SQLite.
    Numbered,
    /// `$1`: PostgreSQL.
    Dollar,
    /// `?`, once per mention: MySQL.
    Question,
}

/// The statements that write and may still return rows (`returning`).
const WRITES: &[&str] = &["delete", "insert", "merge", "replace", "update"];

/// One SQL statement with its parameters found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text for the driver.
    pub text: String,
    /// The parameters' names, each once, in order of first mention.
    pub params: Vec<Arc<str>>,
    /// For each placeholder in the text, the index of its parameter in `params`.
    pub slots: Vec<usize>,
    /// Its first word, in lower case; empty if it begins with something else.
    pub verb: String,
    /// What the store accepts and is probably meant differently.
    pub doubts: Vec<Mistake>,
}

impl Statement {
    /// Its first word, if it is a statement that writes.
    pub fn writes(&self) -> Option<&'static str> {
        WRITES.iter().copied().find(|verb| *verb == self.verb)
    }
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
    pub(super) fn new(message: impl Into<String>, help: &str) -> Self {
        Mistake {
            message: message.into(),
            help: Some(help.into()),
        }
    }
}
