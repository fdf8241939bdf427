//! Knows which stores answer, and says so in the log, in a metric and to `health()`.
//!
//! A store does not answer once it can't be reached, or once all its lookups have timed out for a second. It answers
//! again with its next answer, whatever that says. Both changes are logged; those of a store that comes and goes are
//! logged at a limited rate.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::backend::LookupError;
use crate::error::Code;
use crate::guard::chain::{Guard, Outcome};
use crate::guard::failure_log::names;
use crate::guard::question::Question;
use crate::log_limit::LogLimit;
use crate::metrics::{Gauge, ProgramMetrics};
use crate::plan::LookupId;
use crate::program::{Asks, Program};
use crate::random::Random;

/// A store that answers nothing for this long, while lookups time out, does not answer.
const SILENCE: Duration = Duration::from_secs(1);

/// Whether the stores of one loop answer.
pub(super) struct Health {
    program: Arc<Program>,
    /// By the index of the backend. A store that did not change has one state for several programs.
    stores: Vec<Rc<Store>>,
    /// Whether any store is failing or may be, so that an answer costs one look in the usual case.
    any_suspect: Cell<bool>,
}

/// What is known of one store.
struct Store {
    failing: Cell<bool>,
    /// The first timeout since the last answer.
    silent_since: Cell<Option<Instant>>,
    /// The log's last line says that it fails.
    logged: Cell<bool>,
    log_limit: LogLimit<()>,
    up: Gauge,
}

impl Guard for Health {
    fn new(program: &Arc<Program>, _random: &Random, metrics: &ProgramMetrics) -> Self {
        let stores = metrics.backends.iter().map(|metrics| {
            metrics.up.set(1);
            Rc::new(Store {
                failing: Cell::default(),
                silent_since: Cell::default(),
                logged: Cell::default(),
                log_limit: LogLimit::default(),
                up: metrics.up.clone(),
            })
        });
        Health {
            program: Arc::clone(program),
            stores: stores.collect(),
            any_suspect: Cell::default(),
        }
    }

    fn take_over(&mut self, before: &Self) {
        for (at, store) in self.stores.iter_mut().enumerate() {
            if let Some(then) = self.program.unchanged_since(&before.program, at) {
                *store = Rc::clone(&before.stores[then]);
            }
        }
        self.find_suspects();
    }

    #[inline]
    fn after(&self, question: &Question<'_>, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Answered(_) if self.any_suspect.get() => self.answered(question.lookup),
            Outcome::Failed(err) => self.failed(question.lookup, err),
            _ => {}
        }
    }
}

impl Health {
    /// Whether the store at `at` answers, as far as its last lookups tell.
    pub(super) fn is_answering(&self, at: usize) -> bool {
        !self.stores[at].failing.get()
    }

    /// Closures are not stores: their failures are logged as those of lookups.
    fn store(&self, lookup: LookupId) -> Option<(usize, &Store)> {
        match self.program.lookups[lookup.0].asks {
            Asks::Store(at, _) => Some((at, &*self.stores[at])),
            Asks::Closure(_) => None,
        }
    }

    #[cold]
    fn answered(&self, lookup: LookupId) {
        let Some((at, store)) = self.store(lookup) else {
            return;
        };
        store.silent_since.set(None);
        if store.failing.replace(false) {
            store.up.set(1);
        }
        if store.logged.replace(false) {
            let backend = &*self.program.backends[at].name;
            info!(backend, "backend answers again");
        }
        self.find_suspects();
    }

    fn find_suspects(&self) {
        let any = self.stores.iter().any(|store| store.is_suspect());
        self.any_suspect.set(any);
    }

    #[cold]
    fn failed(&self, lookup: LookupId, err: &LookupError) {
        match err.code {
            Code::LookupUnavailable => self.fails(lookup, err),
            Code::LookupTimeout | Code::CallDeadline => {
                if let Some((_, store)) = self.store(lookup)
                    && store.is_silent()
                {
                    self.fails(lookup, err);
                }
                self.any_suspect.set(true);
            }
            // A store that refuses a question answers, and so does one whose answer is of no use.
            Code::LookupRefused
            | Code::LookupThrew
            | Code::LookupTooMany
            | Code::LookupBadAnswer
                if self.any_suspect.get() =>
            {
                self.answered(lookup);
            }
            _ => {}
        }
    }

    fn fails(&self, lookup: LookupId, err: &LookupError) {
        let Some((_, store)) = self.store(lookup) else {
            return;
        };
        self.any_suspect.set(true);
        if !store.failing.replace(true) {
            store.up.set(0);
        }
        if !store.logged.get() && store.log_limit.allow(()).is_some() {
            store.logged.set(true);
            let (code, detail) = (err.code, &*err.detail);
            let (backend, lookup) = names(&self.program, lookup);
            warn!(%code, backend, lookup, detail, "backend fails");
        }
    }
}

impl Store {
    fn is_suspect(&self) -> bool {
        self.failing.get() || self.silent_since.get().is_some()
    }

    /// Whether it has been silent for long, now that another lookup timed out.
    fn is_silent(&self) -> bool {
        let now = Instant::now();
        let since = self.silent_since.get().unwrap_or(now);
        self.silent_since.set(Some(since));
        now.duration_since(since) >= SILENCE
    }
}

#[cfg(test)]
mod tests;
