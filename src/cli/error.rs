//! Defines the error that a command returns. Only [`super::main`] prints it, so that it is printed once.

use std::fmt;

use super::exit::ExitStatus;
use super::output::Output;
use crate::diagnostic::Problem;

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError {
    /// How the process ends.
    pub status: ExitStatus,
    /// What went wrong.
    pub reason: Reason,
}

/// What went wrong.
#[derive(Debug)]
pub enum Reason {
    /// A single error.
    One {
        /// What went wrong, in lower case and without a final period.
        message: String,
        /// How to fix it.
        help: Option<String>,
    },
    /// Mistakes in the configuration or the IDL.
    Problems(Vec<Problem>),
}

impl CommandError {
    /// The command failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        CommandError::new(ExitStatus::Failed, &message)
    }

    /// The command was used wrongly.
    pub fn misuse(message: impl fmt::Display) -> Self {
        CommandError::new(ExitStatus::Misuse, &message)
    }

    fn new(status: ExitStatus, message: &dyn fmt::Display) -> Self {
        CommandError {
            status,
            reason: Reason::One {
                message: message.to_string(),
                help: None,
            },
        }
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        if let Reason::One { help, .. } = &mut self.reason {
            *help = Some(text.into());
        }
        self
    }

    /// What went wrong, without how to fix it.
    pub fn message(&self) -> String {
        match &self.reason {
            Reason::One { message, .. } => message.clone(),
            Reason::Problems(problems) => {
                let first = problems.first().map(|problem| problem.message.clone());
                first.unwrap_or_default()
            }
        }
    }

    /// Prints the error to stderr.
    pub fn print(&self, out: &mut Output) {
        match &self.reason {
            Reason::One { message, help } => out.error(message, help.as_deref()),
            Reason::Problems(problems) => out.problems(problems),
        }
    }
}

impl From<Vec<Problem>> for CommandError {
    fn from(problems: Vec<Problem>) -> Self {
        CommandError {
            status: ExitStatus::Misuse,
            reason: Reason::Problems(problems),
        }
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(err: anyhow::Error) -> Self {
        // The whole chain of causes, once: here the error stops travelling.
        CommandError::failed(format_args!("{err:#}"))
    }
}
