//! Says once when a backend begins to fail and once when it answers again, and complains of each way in which a
//! lookup fails at most every few seconds: what is in every call's fate need not be in the log as often.

use std::cell::{Cell, RefCell};

use tokio::time::{Duration, Instant};
use tracing::{debug, info, warn};

use crate::backend::LookupError;
use crate::error::{Code, Fault};

/// How often one lookup's failing in one way is logged.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// What was last said of one backend on one loop.
#[derive(Debug, Default)]
pub(super) struct BackendHealth {
    failing: Cell<bool>,
}

/// What was last said of one lookup on one loop: when, by code. There are few codes, so the list stays short.
#[derive(Debug, Default)]
pub(super) struct LookupHealth {
    complained: RefCell<Vec<(Code, Instant)>>,
}

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
        if code.fault() == Fault::Client || expected {
            debug!(%code, backend, lookup, detail, "lookup failed");
        } else if code == Code::LookupUnavailable {
            if health.is_none_or(BackendHealth::unavailable) {
                warn!(%code, backend, lookup, detail, "backend fails");
            }
        } else if self.is_due(code) {
            warn!(%code, backend, lookup, detail, "lookup failed");
        }
    }

    /// Whether the last complaint of this kind is long ago; if so, it is now.
    fn is_due(&self, code: Code) -> bool {
        let now = Instant::now();
        let mut complained = self.complained.borrow_mut();
        let Some((_, last)) = complained.iter_mut().find(|(have, _)| *have == code) else {
            complained.push((code, now));
            return true;
        };
        let due = now.duration_since(*last) >= COMPLAINT_EVERY;
        if due {
            *last = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_way_of_failing_is_told_now_and_then() {
        let health = LookupHealth::default();
        assert!(health.is_due(Code::LookupTimeout));
        assert!(!health.is_due(Code::LookupTimeout));
        assert!(health.is_due(Code::MergeType), "another way is news");
        tokio::time::advance(COMPLAINT_EVERY).await;
        assert!(health.is_due(Code::LookupTimeout));
    }

    #[test]
    fn an_outage_is_told_once() {
        let health = BackendHealth::default();
        assert!(health.unavailable());
        assert!(!health.unavailable());
        health.answered("x");
        assert!(health.unavailable());
    }
}
