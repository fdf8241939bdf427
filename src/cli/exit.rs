//! Defines the exit codes of the process.

use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: the command succeeded.
    Done,
    /// 1: the command failed.
    Failed,
    /// 2: the command was used wrongly: bad arguments, a bad configuration or a bad IDL.
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
