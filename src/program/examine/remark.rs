//! Defines a remark about a key, before the place of the key in the file is known.

use crate::error::Code;

/// How serious a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// It never works.
    Error,
    /// It works, but not for every value.
    Warning,
}

/// A remark about a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remark {
    pub(super) severity: Severity,
    /// The path of the key: `lookups`, `flight`, `sql`.
    pub(super) path: Vec<String>,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Remark {
    pub(super) fn error<'p>(
        path: impl IntoIterator<Item = &'p str>,
        code: Code,
        message: impl Into<String>,
    ) -> Self {
        Remark {
            severity: Severity::Error,
            path: path.into_iter().map(str::to_owned).collect(),
            code,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn warning<'p>(
        path: impl IntoIterator<Item = &'p str>,
        code: Code,
        message: impl Into<String>,
    ) -> Self {
        Remark {
            severity: Severity::Warning,
            ..Remark::error(path, code, message)
        }
    }

    /// Adds how to fix it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
