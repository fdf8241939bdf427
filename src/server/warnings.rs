//! Logs what is wrong in a configuration that is refused, and what is probably a mistake in one that is served.

use tracing::{error, warn};

use crate::diagnostic::Problem;
use crate::program::Program;

/// Logs the warnings about a configuration that is going to be served.
pub(super) fn log_warnings(program: &Program) {
    for warning in &program.warnings {
        warn!(
            code = %warning.code,
            file = warning.place.as_ref().map(|(source, _)| &*source.path),
            line = warning.line(),
            key = warning.key,
            what = warning.message,
            help = warning.help,
            "a warning about the configuration"
        );
    }
}

/// Logs the problems of a configuration that is not going to be served.
pub(super) fn log_problems(problems: &[Problem]) {
    for problem in problems {
        error!(
            code = %problem.code,
            file = problem.place.as_ref().map(|(source, _)| &*source.path),
            line = problem.line(),
            key = problem.key,
            what = problem.message,
            help = problem.help,
            "the configuration has a problem"
        );
    }
    error!(
        problems = problems.len(),
        "not reloaded: still serving the old configuration"
    );
}
