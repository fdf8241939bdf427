//! Keeps lookups from a store that has failed too often, until it works again.
//!
//! For a store with one address; where there are several, each has a breaker of its own in [`crate::backend`]. A lookup that
//! is refused fails at once with `lookup.breaker_open`. One lookup a second is let through as a probe, so that a store that
//! works again is used within two seconds: by a few lookups at first, and by all once these have succeeded. A store whose
//! connections are known to be down refuses lookups by itself and finds out faster when it is back: such refusals are no
//! failures to a breaker. Only what was tried counts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, warn};

use super::chain::{Before, Guard, Outcome, Way};
use super::failure_log::names;
use super::question::Question;
use crate::backend::{LookupError, Verdict};
use crate::breaker::{Admission, Breaker, Change};
use crate::config::GuardMode;
use crate::error::Code;
use crate::log_limit::LogLimit;
use crate::metrics::{BreakerEvent, BreakerMetrics, ProgramMetrics};
use crate::program::{Asks, Program};
use crate::random::Random;

/// The breakers of one loop's stores.
pub(super) struct Breakers {
    program: Arc<Program>,
    /// By the index of the backend; `None` where it is off. A store that did not change has one breaker for several programs.
    stores: Vec<Option<Rc<Store>>>,
    /// Whether any store has one.
    any: bool,
}

/// The breaker of one store.
struct Store {
    breaker: RefCell<Breaker>,
    enforces: bool,
    log_limit: LogLimit<()>,
    /// The log says that it is open; it may be half-open by now.
    logged: Cell<bool>,
    metrics: BreakerMetrics,
}

impl Guard for Breakers {
    fn new(program: &Arc<Program>, random: &Random, metrics: &ProgramMetrics) -> Self {
        let mut seeds = random.clone();
        let backends = program.backends.iter().zip(&metrics.backends);
        let stores = backends.map(|(backend, metrics)| {
            let metrics = metrics.breaker.clone()?;
            let breaker = Breaker::new(backend.breaker.settings, seeds.draw());
            Some(Rc::new(Store {
                breaker: RefCell::new(breaker),
                enforces: backend.breaker.mode == GuardMode::Enforce,
                log_limit: LogLimit::default(),
                logged: Cell::new(false),
                metrics,
            }))
        });
        let stores: Vec<_> = stores.collect();
        Breakers {
            any: stores.iter().any(Option::is_some),
            stores,
            program: Arc::clone(program),
        }
    }

    fn take_over(&mut self, before: &Self) {
        for (at, store) in self.stores.iter_mut().enumerate() {
            if let Some(then) = self.program.unchanged_since(&before.program, at) {
                store.clone_from(&before.stores[then]);
            }
        }
    }

    #[inline]
    fn before<'a>(&'a self, question: &Question<'a>, _way: Way<'_>) -> Before<'a> {
        if !self.any {
            return Before::Pass;
        }
        match self.store(question) {
            Some((at, store)) if store.breaker.borrow().is_open() => self.ask(at, store, question),
            _ => Before::Pass,
        }
    }

    #[inline]
    fn after(&self, question: &Question<'_>, outcome: Outcome<'_>) {
        if self.any
            && let Some((_, store)) = self.store(question)
        {
            self.count(store, question, outcome);
        }
    }
}

impl Breakers {
    #[inline]
    fn store(&self, question: &Question<'_>) -> Option<(usize, &Store)> {
        match self.program.lookups[question.lookup.0].asks {
            Asks::Store(at, _) => Some((at, &**self.stores[at].as_ref()?)),
            Asks::Closure(_) => None,
        }
    }

    /// Decides about a question while the breaker is open or half-open.
    #[cold]
    fn ask<'a>(&'a self, at: usize, store: &Store, question: &Question<'a>) -> Before<'a> {
        let mut breaker = store.breaker.borrow_mut();
        match breaker.admit(question.asked, Instant::now(), true) {
            Admission::Pass => Before::Pass,
            Admission::Probe => {
                store.metrics.count(BreakerEvent::Probed);
                Before::Pass
            }
            Admission::Refuse if !store.enforces => {
                store.metrics.count(BreakerEvent::Measured);
                Before::Pass
            }
            Admission::Refuse => {
                store.metrics.count(BreakerEvent::Refused);
                let backend = &self.program.backends[at].name;
                let why = format!("`{backend}` has failed too often recently");
                Before::Answer(Err(LookupError::new(Code::LookupBreakerOpen, why)))
            }
        }
    }

    fn count(&self, store: &Store, question: &Question<'_>, outcome: Outcome<'_>) {
        let verdict = match outcome {
            Outcome::Answered(_) => Verdict::Works,
            Outcome::Failed(err) => err.verdict(),
            Outcome::Cancelled => Verdict::Nothing,
        };
        let mut breaker = store.breaker.borrow_mut();
        let changed = match verdict {
            // Its time need not be exact while all is well, and the clock is not asked for each lookup.
            Verdict::Works if breaker.is_calm() => {
                breaker.succeeded(question.asked, question.asked)
            }
            Verdict::Works => breaker.succeeded(question.asked, Instant::now()),
            Verdict::Fails => breaker.failed(question.asked, Instant::now()),
            Verdict::Late if question.is_patient() => {
                breaker.failed(question.asked, Instant::now())
            }
            Verdict::Late | Verdict::Nothing => {
                breaker.told_nothing(question.asked);
                None
            }
        };
        let is_open = breaker.is_open();
        drop(breaker);
        if let Some(change) = changed {
            store.metrics.changed(change);
        }
        match outcome {
            Outcome::Failed(err) if is_open && verdict != Verdict::Nothing => {
                self.log_open(store, question, err);
            }
            _ if changed == Some(Change::Closed) => self.log_closed(store, question),
            _ => {}
        }
    }

    /// Logs that the breaker is open, unless that was said. What could not be said when it opened is said when a probe fails.
    #[cold]
    fn log_open(&self, store: &Store, question: &Question<'_>, err: &LookupError) {
        if store.logged.get() {
            return;
        }
        let Some(suppressed) = store.log_limit.allow(()) else {
            return;
        };
        store.logged.set(true);
        let (backend, lookup) = names(&self.program, question.lookup);
        let (code, detail, enforces) = (err.code, &*err.detail, store.enforces);
        warn!(%code, backend, lookup, detail, enforces, suppressed, "breaker opens");
    }

    /// Logs that the breaker is closed, if it was logged that it is open.
    #[cold]
    fn log_closed(&self, store: &Store, question: &Question<'_>) {
        if store.logged.replace(false) {
            let (backend, _) = names(&self.program, question.lookup);
            info!(backend, enforces = store.enforces, "breaker closes");
        }
    }
}

#[cfg(test)]
mod tests;
