//! What stands around every backend, so that no backend file has to.
//!
//! Outermost first, and why in this order:
//! 1. `inject`: a planned fault must look exactly like a real one to everything outside it;
//! 2. `batch`, for lookups that can: those of one turn of the loop travel together, as many as have their turn;
//! 3. `permit`, for the others: waiting for a turn counts against the lookup's time, and is told apart from a slow
//!    store;
//! 4. the backend itself.
//!
//! The deadline is enforced by [`crate::view::run`], which drops the future; nothing here retries. What becomes
//! of lookups is reported back ([`Guards::answered`], [`Guards::failed`]), so that the log tells of stores that fail and come back.

mod batch;
mod deadlines;
mod health;
mod inject;
mod params;
mod permit;
mod seat;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::backend::{Answer, AnyBackend, AnyLookup, Ask, LookupError};
use crate::context::Context;
use crate::metrics::ProgramMetrics;
use crate::plan::LookupId;
use crate::program::{Asks, Program};
use crate::random::Random;

use batch::Batcher;
pub use deadlines::{Alarm, Deadlines};
use health::{BackendHealth, LookupHealth};
pub use params::Params;
use permit::Permits;
pub use seat::{Seat, Seats, no_turn};

/// Blocking closures on the thread pool at a time, per loop.
pub const BLOCKING_MAX: usize = 16;
/// Blocking closures waiting for a thread, per loop; further ones are shed.
const BLOCKING_WAITING_MAX: usize = 1024;

/// The backends of one loop, guarded.
pub struct Guards {
    program: Arc<Program>,
    backends: Vec<Guarded>,
    /// Blocking closures that run or wait: the thread pool is bounded too.
    blocking: Permits,
    random: RefCell<Random>,
    deadlines: Deadlines,
    metrics: Rc<ProgramMetrics>,
    /// By [`LookupId`].
    health: Vec<LookupHealth>,
    /// Some backend does.
    failing: Cell<bool>,
}

struct Guarded {
    backend: Rc<AnyBackend>,
    /// Whether lookups travel together where their kind can.
    batches: bool,
    batcher: Batcher,
    permits: Permits,
    health: BackendHealth,
}

impl Guarded {
    /// One lookup on its own, in its turn.
    async fn ask(&self, lookup: &AnyLookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let _permit = self.permits.acquire(ask.deadline).await?;
        self.backend.lookup(lookup, ask).await
    }
}

impl Guards {
    /// Makes every backend of `program` ready on this loop. Stores that are down do not fail this.
    pub async fn connect(
        program: Arc<Program>,
        random: Random,
        metrics: Rc<ProgramMetrics>,
    ) -> Self {
        let mut seeds = random.clone();
        let mut backends = Vec::with_capacity(program.backends.len());
        for (entry, metrics) in program.backends.iter().zip(&metrics.backends) {
            let planned = program.planned(backends.len());
            let backend = Rc::new(entry.config.connect(&planned, seeds.draw()).await);
            backends.push(Guarded {
                batcher: Batcher::start(&program, &backend, entry, metrics),
                batches: entry.batch_max > 1,
                backend,
                permits: Permits::new(
                    entry.in_flight_max,
                    entry.waiting_max,
                    metrics.single.clone(),
                ),
                health: BackendHealth::default(),
            });
        }
        let health = program.lookups.iter().map(|_| LookupHealth::default());
        let health = health.collect();
        let turns = metrics.blocking.clone();
        let blocking = Permits::new(BLOCKING_MAX, BLOCKING_WAITING_MAX, turns);
        Guards {
            program,
            backends,
            blocking,
            random: RefCell::new(random),
            deadlines: Deadlines::start(),
            metrics,
            health,
            failing: Cell::new(false),
        }
    }

    /// What its loop counts.
    pub fn metrics(&self) -> &Rc<ProgramMetrics> {
        &self.metrics
    }

    /// The deadlines of its loop's calls.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Each backend's name and kind, and whether it answers: from a lookup that could not reach it to the next that
    /// it answers, it does not.
    pub fn health(&self) -> impl Iterator<Item = (&str, &'static str, bool)> {
        let backends = self.program.backends.iter().zip(&self.backends);
        backends.map(|(entry, guarded)| {
            let answers = !guarded.health.is_failing();
            (&*entry.name, entry.config.kind(), answers)
        })
    }

    /// Takes note of a lookup that was answered, and logs it where that is news.
    #[inline]
    pub fn answered(&self, id: LookupId) {
        if self.failing.get() {
            self.answered_again(id);
        }
    }

    #[cold]
    fn answered_again(&self, id: LookupId) {
        if let Asks::Store(at, _) = self.program.lookups[id.0].asks {
            self.backends[at]
                .health
                .answered(&self.program.backends[at].name);
            let mut backends = self.backends.iter();
            self.failing
                .set(backends.any(|backend| backend.health.is_failing()));
        }
    }

    /// Takes note of a lookup that failed, and logs it where that is news.
    pub fn failed(&self, id: LookupId, err: &LookupError) {
        let lookup = &self.program.lookups[id.0];
        let (name, health) = match lookup.asks {
            Asks::Store(at, _) => (
                &*self.program.backends[at].name,
                Some(&self.backends[at].health),
            ),
            Asks::Closure(_) => ("code", None),
        };
        self.health[id.0].failed(&lookup.name, (name, health), err);
        if health.is_some_and(BackendHealth::is_failing) {
            self.failing.set(true);
        }
    }

    /// Asks the backend of `id` through everything that stands around it, until `deadline`. What can travel with
    /// others takes one of `seats`.
    pub fn ask<'a>(
        &'a self,
        id: LookupId,
        params: Params,
        (context, deadline): (&'a Context, Instant),
        seats: &Seats,
    ) -> Result<Asking<'a>, LookupError> {
        let lookup = &self.program.lookups[id.0];
        if let Asks::Store(backend, asked) = &lookup.asks
            && lookup.inject.is_empty()
        {
            let guarded = &self.backends[*backend];
            if guarded.batches && asked.batches() {
                let seat = guarded.batcher.ask(id, params, seats, deadline)?;
                return Ok(Asking::Batched(seat));
            }
        }
        let alone = self.ask_alone(id, params, (context, deadline));
        Ok(Asking::Alone(Box::pin(alone)))
    }

    /// As [`Guards::ask`], in a future of its own.
    async fn ask_alone(
        &self,
        id: LookupId,
        params: Params,
        (context, deadline): (&Context, Instant),
    ) -> Result<Answer, LookupError> {
        let lookup = &self.program.lookups[id.0];
        if !lookup.inject.is_empty() {
            let unlucky = self.random.borrow_mut().chance(lookup.inject.error_rate);
            inject::apply(lookup.inject, unlucky).await?;
        }
        match &lookup.asks {
            Asks::Store(backend, asked) => {
                let guarded = &self.backends[*backend];
                if guarded.batches && asked.batches() {
                    let seats = Seats::with_room(1);
                    let seat = guarded.batcher.ask(id, params, &seats, deadline)?;
                    return poll_fn(|cx| seats.poll(seat, deadline, cx)).await;
                }
                let ask = Ask {
                    params: &params,
                    context,
                    deadline,
                };
                // Boxed: the largest kind's future would otherwise be copied with every delayed lookup.
                Box::pin(guarded.ask(asked, ask)).await
            }
            Asks::Closure(closure) => {
                let ask = Ask {
                    params: &params,
                    context,
                    deadline,
                };
                let _permit = if closure.is_blocking() {
                    Some(self.blocking.acquire(deadline).await?)
                } else {
                    None
                };
                closure.lookup(ask).await
            }
        }
    }
}

/// A lookup on its way.
pub enum Asking<'a> {
    /// With others: its answer comes to this seat.
    Batched(Seat),
    /// By itself.
    Alone(Pin<Box<dyn Future<Output = Result<Answer, LookupError>> + 'a>>),
}
