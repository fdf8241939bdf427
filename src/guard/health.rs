//! Says once when a backend begins to fail and once when it answers again, and complains of each way in which a
//! lookup fails at most every few seconds: what is in every call's fate need not be in the log as often.

use std::cell::Cell;

use tracing::{debug, info, warn};

use crate::backend::LookupError;
use crate::error::{Code, Fault};
use crate::log_limit::LogLimit;

/// What was last said of one backend on one loop.
#[derive(Debug, Default)]
pub(super) struct BackendHealth {
    failing: Cell<bool>,
}

/// What was last said of one lookup on one loop.
#[derive(Debug, Default)]
pub(super) struct LookupHealth(LogLimit);

impl BackendHealth {
    /// Whether it could not be reached when it was last asked.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.get()
    }

    pub(super) fn answered(&self, backend: &str) {
        if self.failing.replace(false) {
            info!(backend, "backend answers again");
        }
    }

    /// Whether that is news.
    fn unavailable(&self) -> bool {
        !self.failing.replace(true)
    }
}

impl LookupHealth {
    pub(super) fn failed(
        &self,
        lookup: &str,
        (backend, health): (&str, Option<&BackendHealth>),
        err: &LookupError,
    ) {
        let (code, detail) = (err.code, &*err.detail);
        let expected = code == Code::LookupInjected || err.thrown.is_some();
        if expected {
            debug!(%code, backend, lookup, detail, "lookup failed");
        } else if code.fault() == Fault::Client {
            if let Some(suppressed) = self.0.allow(code) {
                info!(%code, backend, lookup, detail, suppressed, "lookup failed");
            }
        } else if code == Code::LookupUnavailable {
            if health.is_none_or(BackendHealth::unavailable) {
                warn!(%code, backend, lookup, detail, "backend fails");
            }
        } else if let Some(suppressed) = self.0.allow(code) {
            warn!(%code, backend, lookup, detail, suppressed, "lookup failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once() {
        let health = BackendHealth::default();
        assert!(health.unavailable());
        assert!(!health.unavailable());
        health.answered("x");
        assert!(health.unavailable());
    }
}
