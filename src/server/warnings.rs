//! Logs what is probably a mistake in a configuration that is served.

use tracing::warn;

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
