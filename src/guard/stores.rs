//! Sends to the stores of one event loop the questions that their guards let pass: in a batch, or alone with a permit.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::batch::Batcher;
use super::of_loop::OfLoop;
use super::permit::Permits;
use super::question::Question;
use super::reply_slots::{ReplySlots, SlotId};
use crate::backend::closure::Closure;
use crate::backend::{Answer, AnyBackend, AnyLookup, LookupError};
use crate::metrics::ProgramMetrics;
use crate::program::{Asks, Program};
use crate::random::Random;

/// The maximum number of blocking closures on the thread pool at a time, per loop.
pub const BLOCKING_MAX: usize = 16;
/// The maximum number of blocking closures waiting for a thread, per loop; any more are shed.
const BLOCKING_WAITING_MAX: usize = 1024;

/// The stores of one event loop, and the closures of the program.
pub(super) struct Stores {
    program: Rc<OfLoop>,
    /// By the index of the backend. Those that did not change serve several programs.
    backends: Vec<Rc<Store>>,
    /// For blocking closures: the thread pool is bounded too.
    blocking: Permits,
}

/// One store, inside the guards.
struct Store {
    backend: Rc<AnyBackend>,
    /// Whether `batch_max` lets lookups travel together.
    batches: bool,
    batcher: Batcher,
    permits: Permits,
}

/// A question on its way to its store.
pub(super) enum Sent<'a> {
    /// In a batch. The answer arrives in this slot of the asker.
    Batched(SlotId),
    /// Alone.
    Alone(LocalBoxFuture<'a, Result<Answer, LookupError>>),
}

impl Stores {
    /// Connects every store of `program` on this loop. Those of `before` that did not change are kept.
    pub(super) async fn connect(
        program: &Arc<Program>,
        random: &Random,
        all_metrics: &Rc<ProgramMetrics>,
        before: Option<&Stores>,
    ) -> Self {
        let mut seeds = random.clone();
        let mut backends = Vec::with_capacity(program.backends.len());
        for (entry, metrics) in program.backends.iter().zip(&all_metrics.backends) {
            let unchanged = before.and_then(|before| {
                let at = program.unchanged_since(before.program.program(), backends.len())?;
                Some(Rc::clone(&before.backends[at]))
            });
            if let Some(store) = unchanged {
                backends.push(store);
                continue;
            }
            let planned = program.planned(backends.len());
            let backend = Rc::new(entry.config.connect(&planned, seeds.draw()).await);
            if let Some(cancels) = backend.cancels() {
                all_metrics.show_cancels(&entry.name, cancels);
            }
            let load = metrics.single.clone();
            backends.push(Rc::new(Store {
                batcher: Batcher::start(&backend, entry, metrics),
                batches: entry.batch_max > 1,
                backend,
                permits: Permits::new(entry.in_flight_max, entry.waiting_max, load),
            }));
        }
        let load = all_metrics.blocking.clone();
        Stores {
            program: OfLoop::new(program),
            backends,
            blocking: Permits::new(BLOCKING_MAX, BLOCKING_WAITING_MAX, load),
        }
    }

    /// Sends a question that has passed all guards.
    pub(super) fn send<'a>(
        &'a self,
        question: &Question<'a>,
        slots: &ReplySlots,
    ) -> Result<Sent<'a>, LookupError> {
        let alone: LocalBoxFuture<'a, _> = match self.program.asks(question.lookup) {
            Asks::Store(at, lookup) => {
                let store = &self.backends[*at];
                if store.batches && lookup.batches() {
                    let lane = lookup.lane();
                    let asked = (&self.program, question);
                    return store.batcher.push(lane, asked, slots).map(Sent::Batched);
                }
                Box::pin(store.lookup(lookup, question.clone()))
            }
            Asks::Closure(closure) => Box::pin(self.run(closure, question.clone())),
        };
        Ok(Sent::Alone(alone))
    }

    async fn run(&self, closure: &Closure, question: Question<'_>) -> Result<Answer, LookupError> {
        let _permit = if closure.is_blocking() {
            Some(self.blocking.acquire(question.deadline).await?)
        } else {
            None
        };
        closure.lookup(question.as_ask()).await
    }
}

impl Store {
    /// Asks one question alone, once it has its permit.
    async fn lookup(
        &self,
        lookup: &AnyLookup,
        question: Question<'_>,
    ) -> Result<Answer, LookupError> {
        let _permit = self.permits.acquire(question.deadline).await?;
        self.backend.lookup(lookup, question.as_ask()).await
    }
}
