//! How a command ends: the three exit codes, and what is said when it fails.
//!
//! A command returns a [`Failure`]; only [`super::main`] prints it, so nothing is said twice.

use std::fmt;
use std::process::ExitCode;

use super::output::Output;
use crate::diagnostic::Problem;

/// What the process tells whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: what was asked for is done.
    Done,
    /// 1: what was asked for failed.
    Failed,
    /// 2: it was asked for wrongly: bad usage, bad configuration or bad IDL.
    Misuse,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(match status {
            ExitStatus::Done => 0,
            ExitStatus::Failed => 1,
            ExitStatus::Misuse => 2,
        })
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub status: ExitStatus,
    /// What went wrong.
    pub reason: Reason,
}

/// What went wrong.
#[derive(Debug)]
pub enum Reason {
    /// One thing: lower case, no final period.
    One {
        /// What it is.
        message: String,
        /// What would be right.
        help: Option<String>,
    },
    /// The configuration or the IDL.
    Problems(Vec<Problem>),
}

impl Failure {
    /// What was asked for failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Failure::new(ExitStatus::Failed, &message)
    }

    /// It was asked for wrongly.
    pub fn misuse(message: impl fmt::Display) -> Self {
        Failure::new(ExitStatus::Misuse, &message)
    }

    fn new(status: ExitStatus, message: &dyn fmt::Display) -> Self {
        Failure {
            status,
            reason: Reason::One {
                message: message.to_string(),
                help: None,
            },
        }
    }

    /// The same, with what would be right.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        if let Reason::One { help, .. } = &mut self.reason {
            *help = Some(text.into());
        }
        self
    }

    /// Says it on stderr.
    pub fn tell(&self, out: &mut Output) {
        match &self.reason {
            Reason::One { message, help } => out.error(message, help.as_deref()),
            Reason::Problems(problems) => out.problems(problems),
        }
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Failure {
            status: ExitStatus::Misuse,
            reason: Reason::Problems(problems),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(err: anyhow::Error) -> Self {
        // The chain is printed once, here where the error stops travelling.
        Failure::failed(format_args!("{err:#}"))
    }
}
