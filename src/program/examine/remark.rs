//! Something to say of a key, before it is known where the key stands.

use crate::error::Code;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It can never work.
    Error,
    /// It works, but not for every value.
    Warning,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remark {
    pub(super) level: Level,
    /// The names on the way to it: `lookups`, `flight`, `sql`.
    pub(super) path: Vec<String>,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Remark {
    pub(super) fn error<const N: usize>(
        path: [&str; N],
        code: Code,
        message: impl Into<String>,
    ) -> Self {
        Remark {
            level: Level::Error,
            path: path.map(str::to_owned).into(),
            code,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn warning<const N: usize>(
        path: [&str; N],
        code: Code,
        message: impl Into<String>,
    ) -> Self {
        Remark {
            level: Level::Warning,
            ..Remark::error(path, code, message)
        }
    }

    /// The same, with what would be right.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
