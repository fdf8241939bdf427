//! Logs failed lookups: one line per lookup and code every ten seconds, at a level that says who has to act.
//!
//! Every fate is in the report and in the metrics; the log need not repeat each of them. A store that can't be reached is
//! logged by [`health`](super::health).

use std::sync::Arc;

use tracing::{debug, info, warn};

use crate::backend::LookupError;
use crate::error::{Code, Fault};
use crate::guard::chain::{Guard, Outcome};
use crate::guard::question::Question;
use crate::log_limit::LogLimit;
use crate::metrics::ProgramMetrics;
use crate::plan::LookupId;
use crate::program::{Asks, Program};
use crate::random::Random;

/// The failures of every lookup of one loop.
pub(super) struct FailureLog {
    program: Arc<Program>,
    /// By [`LookupId`].
    limits: Vec<LogLimit>,
    /// For fields left unset, by [`LookupId`].
    left_out: Vec<LogLimit>,
}

impl Guard for FailureLog {
    fn new(program: &Arc<Program>, _random: &Random, _metrics: &ProgramMetrics) -> Self {
        let limits = || program.lookups.iter().map(|_| LogLimit::default());
        FailureLog {
            program: Arc::clone(program),
            limits: limits().collect(),
            left_out: limits().collect(),
        }
    }

    #[inline]
    fn after(&self, question: &Question<'_>, outcome: Outcome<'_>) {
        if let Outcome::Failed(err) = outcome {
            self.log(question.lookup, err);
        }
    }
}

impl FailureLog {
    /// Logs a failure of `lookup`, if it is time to.
    #[cold]
    pub(super) fn log(&self, lookup: LookupId, err: &LookupError) {
        let limit = &self.limits[lookup.0];
        let is_of_store = matches!(self.program.lookups[lookup.0].asks, Asks::Store(..));
        let (backend, lookup) = names(&self.program, lookup);
        let (code, detail) = (err.code, &*err.detail);
        let is_expected = code == Code::LookupInjected || err.thrown.is_some();
        if is_expected {
            debug!(%code, backend, lookup, detail, "lookup failed");
        } else if code == Code::LookupUnavailable && is_of_store {
            // Logged as the store's failure, not the lookup's.
        } else if let Some(suppressed) = limit.allow(code) {
            if code.fault() == Fault::Client {
                info!(%code, backend, lookup, detail, suppressed, "lookup failed");
            } else {
                warn!(%code, backend, lookup, detail, suppressed, "lookup failed");
            }
        }
    }
}

impl FailureLog {
    /// Logs that a field of an answer was left unset, if it is time to.
    #[cold]
    pub(super) fn left_out(&self, lookup: LookupId, detail: &str) {
        let code = Code::MergeType;
        if let Some(suppressed) = self.left_out[lookup.0].allow(code) {
            let (backend, lookup) = names(&self.program, lookup);
            warn!(%code, backend, lookup, detail, suppressed, "a field is left unset: its value is not in the IDL");
        }
    }
}

/// The names of a lookup's store and of the lookup, as the log has them.
pub(super) fn names(program: &Program, lookup: LookupId) -> (&str, &str) {
    let lookup = &program.lookups[lookup.0];
    let backend = match lookup.asks {
        Asks::Store(at, _) => &*program.backends[at].name,
        Asks::Closure(_) => "code",
    };
    (backend, &lookup.name)
}

#[cfg(test)]
mod tests;
