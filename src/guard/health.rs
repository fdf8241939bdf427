//! Says once when a backend begins to fail and once when it answers again, instead of once per lookup.

use std::cell::Cell;

use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use crate::backend::{Answer, LookupError};
use crate::error::Code;

/// How often one lookup's complaints that are not about reaching the store are logged.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// What was last said of one backend on one loop.
#[derive(Debug, Default)]
pub(super) struct Health {
    failing: Cell<bool>,
    complained: Cell<Option<Instant>>,
}

impl Health {
    /// Takes note of an answer, and logs what is news.
    pub(super) fn saw(&self, backend: &str, lookup: &str, answer: &Result<Answer, LookupError>) {
        match answer {
            Ok(_) if self.failing.replace(false) => info!(backend, "backend answers again"),
            Ok(_) => {}
            Err(err) if err.code == Code::LookupUnavailable => {
                if !self.failing.replace(true) {
                    warn!(code = %err.code, backend, lookup, detail = err.detail, "backend fails");
                }
            }
            Err(err) => self.complain(backend, lookup, err),
        }
    }

    fn complain(&self, backend: &str, lookup: &str, err: &LookupError) {
        let now = Instant::now();
        let recent = |last: Instant| now.duration_since(last) < COMPLAINT_EVERY;
        if !self.complained.get().is_some_and(recent) {
            self.complained.set(Some(now));
            warn!(code = %err.code, backend, lookup, detail = err.detail, "lookup fails");
        }
    }
}
