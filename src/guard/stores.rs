//! Sends to the stores of one event loop the questions that their guards let pass: in a batch, or alone with a permit.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::backlog::{Backlog, Backlogs, Prospect};
use super::batch::Batcher;
use super::of_loop::OfLoop;
use super::permit::Permits;
use super::question::Question;
use super::reply_slots::{ReplySlots, SlotId};
use crate::backend::closure::Closure;
use crate::backend::{
    Answer, AnyBackend, AnyLookup, Changes, GivenUp, LookupError, OnLoop, StoreMemory,
};
use crate::metrics::{Load, ProgramMetrics};
use crate::plan::LookupId;
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
    /// By the number of the lookup: its store and its lane there, if it travels in batches.
    lanes: Vec<Option<(usize, usize)>>,
    /// By the number of the lookup: its own permits, if it travels alone and has a limit of its own.
    own: Vec<Option<Permits>>,
    /// By the number of the lookup: how long it may wait for its turn. Empty if none has such a limit.
    wait_max: Vec<Option<Duration>>,
    /// For blocking closures: the thread pool is bounded too.
    blocking: Permits,
    memory: StoreMemory,
    pub(super) given_up: GivenUp,
    pub(super) backlogs: Backlogs,
}

/// One store, inside the guards.
struct Store {
    backend: Rc<AnyBackend>,
    /// Whether `batch_max` lets lookups travel together.
    batches: bool,
    batcher: Batcher,
    permits: Permits,
}

/// Where a lookup waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueAt {
    /// In a lane of a store.
    Lane(usize, usize),
    /// For a permit of a store.
    Permits(usize),
    /// For a permit of a lookup with a limit of its own, which asks this store.
    Own(usize, LookupId),
    /// For a thread.
    Blocking,
}

impl QueueAt {
    /// The index of its store.
    pub(super) fn store(self) -> Option<usize> {
        match self {
            QueueAt::Lane(store, _) | QueueAt::Permits(store) | QueueAt::Own(store, _) => {
                Some(store)
            }
            QueueAt::Blocking => None,
        }
    }
}

/// A question on its way to its store.
pub(super) enum Sent<'a> {
    /// In a batch. The answer arrives in this slot of the asker.
    Batched(SlotId),
    /// Alone.
    Alone(LocalBoxFuture<'a, Result<Answer, LookupError>>),
}

/// Shows what a new store counts by itself.
fn show_counts(name: &str, backend: &AnyBackend, all_metrics: &ProgramMetrics) {
    if let Some(cancels) = backend.cancels() {
        all_metrics.show_cancels(name, cancels);
    }
    if let Some(open) = backend.open_connections() {
        all_metrics.show_open_connections(name, open);
    }
    if let Some(board) = backend.board() {
        all_metrics.show_endpoints(name, board);
    }
    if let Some(reloads) = backend.table_reloads() {
        all_metrics.show_table_reloads(name, reloads);
    }
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
        let backlogs = before.map_or_else(Backlogs::default, |before| before.backlogs.clone());
        let memory = before.map(|before| before.memory.clone());
        let memory = memory.unwrap_or_else(|| new_memory(program, all_metrics));
        let given_up = before.map_or_else(GivenUp::default, |before| before.given_up.clone());
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
            let hearing = before.and_then(|before| {
                let at = program.heard_since(before.program.program(), backends.len())?;
                before.backends[at].backend.hearing()
            });
            let hears_on = hearing.is_some();
            let on_loop = OnLoop {
                hearing,
                name: Arc::clone(&entry.name),
                seed: seeds.draw(),
                memory: memory.clone(),
                given_up: given_up.clone(),
            };
            let backend = Rc::new(entry.config.connect(&planned, &on_loop).await);
            show_counts(&entry.name, &backend, all_metrics);
            if let Some(changes) = backend.changes().filter(|_| !hears_on) {
                all_metrics.show_changes(&entry.name, changes);
            }
            let load = (metrics.single.clone(), &backlogs);
            backends.push(Rc::new(Store {
                batcher: Batcher::start(&backend, entry, (metrics, &backlogs)),
                batches: entry.batch_max > 1,
                backend,
                permits: Permits::new(entry.in_flight_max, entry.waiting_max, load),
            }));
        }
        let lanes = lanes(program, &backends);
        let own = own_limits((program, &lanes), &backends, (all_metrics, &backlogs));
        let load = (all_metrics.blocking.clone(), &backlogs);
        Stores {
            lanes,
            own,
            wait_max: wait_limits(program),
            program: OfLoop::new(program, all_metrics),
            backends,
            blocking: Permits::new(BLOCKING_MAX, BLOCKING_WAITING_MAX, load),
            memory,
            given_up,
            backlogs,
        }
    }

    /// The memory of the stores' answers.
    pub(super) fn memory(&self) -> &StoreMemory {
        &self.memory
    }

    /// What the store of a lookup says about answers that are no longer right, if anybody wants to know.
    pub(super) fn changes(&self, lookup: LookupId) -> Option<&Rc<Changes>> {
        match self.program.asks(lookup) {
            Asks::Store(at, _) => self.backends[*at].backend.changes(),
            Asks::Closure(_) => None,
        }
    }

    /// Where the questions of a lookup wait, if they have to.
    pub(super) fn queue_of(&self, lookup: LookupId) -> Option<QueueAt> {
        if let Some((store, lane)) = self.lanes[lookup.0] {
            return Some(QueueAt::Lane(store, lane));
        }
        match self.program.asks(lookup) {
            Asks::Store(at, _) if self.own[lookup.0].is_some() => Some(QueueAt::Own(*at, lookup)),
            Asks::Store(at, _) => Some(QueueAt::Permits(*at)),
            Asks::Closure(closure) => closure.is_blocking().then_some(QueueAt::Blocking),
        }
    }

    /// What a lookup finds in a queue whose caller has `own` in it. `None`: nothing has ever waited there.
    pub(super) fn prospect(&self, queue: QueueAt, own: usize, now: Instant) -> Option<Prospect> {
        match queue {
            QueueAt::Lane(store, lane) => self.backends[store].batcher.prospect(lane, own, now),
            QueueAt::Permits(store) => Some(self.backends[store].permits.prospect(own, now)),
            QueueAt::Own(_, lookup) => {
                let permits = self.own[lookup.0].as_ref()?;
                Some(permits.prospect(own, now))
            }
            QueueAt::Blocking => Some(self.blocking.prospect(own, now)),
        }
    }

    /// Looks at a queue, which has so many lookups in it. `None`: nothing has ever waited there.
    pub(super) fn with_backlog<R>(
        &self,
        queue: QueueAt,
        look: impl FnOnce(&mut Backlog, usize) -> R,
    ) -> Option<R> {
        match queue {
            QueueAt::Lane(store, lane) => self.backends[store].batcher.with_backlog(lane, look),
            QueueAt::Permits(store) => Some(self.backends[store].permits.with_backlog(look)),
            QueueAt::Own(_, lookup) => {
                let permits = self.own[lookup.0].as_ref()?;
                Some(permits.with_backlog(look))
            }
            QueueAt::Blocking => Some(self.blocking.with_backlog(look)),
        }
    }

    /// Sends a question that has passed all guards.
    #[inline]
    pub(super) fn send<'a>(
        &'a self,
        question: &Question<'a>,
        slots: &ReplySlots,
    ) -> Result<Sent<'a>, LookupError> {
        if let Some((store, lane)) = self.lanes[question.lookup.0] {
            let asked = (&self.program, question);
            let batcher = &self.backends[store].batcher;
            let latest = self.latest(question);
            return batcher
                .push(lane, (asked, latest), slots)
                .map(Sent::Batched);
        }
        Ok(Sent::Alone(self.send_alone(question)))
    }

    /// When a question that was not sent yet has waited too long for its turn, if there is a limit.
    #[inline]
    fn latest(&self, question: &Question<'_>) -> Option<Instant> {
        let wait_max = *self.wait_max.get(question.lookup.0)?;
        question.asked.checked_add(wait_max?)
    }

    fn send_alone<'a>(
        &'a self,
        question: &Question<'a>,
    ) -> LocalBoxFuture<'a, Result<Answer, LookupError>> {
        match self.program.asks(question.lookup) {
            Asks::Store(at, lookup) => {
                let store = &self.backends[*at];
                let asked = (question.clone(), self.latest(question));
                match &self.own[question.lookup.0] {
                    None => Box::pin(store.lookup(lookup, asked)),
                    Some(own) => Box::pin(store.lookup_limited(own, lookup, asked)),
                }
            }
            Asks::Closure(closure) => Box::pin(self.run(closure, question.clone())),
        }
    }

    async fn run(&self, closure: &Closure, question: Question<'_>) -> Result<Answer, LookupError> {
        if !closure.is_blocking() {
            return closure.lookup(question.as_ask()).await;
        }
        let lookup = closure.lookup(question.as_ask());
        self.blocking.hold((&question, None), lookup).await
    }
}

/// The permits of each lookup that travels alone and has a limit of its own. One that travels in batches is limited in its lane.
fn own_limits(
    (program, lanes): (&Program, &[Option<(usize, usize)>]),
    backends: &[Rc<Store>],
    (all_metrics, backlogs): (&ProgramMetrics, &Backlogs),
) -> Vec<Option<Permits>> {
    let lookups = program.lookups.iter().zip(lanes);
    let limits = lookups.map(|(lookup, lane)| {
        let (Asks::Store(at, _), Some(most)) = (&lookup.asks, lookup.in_flight_max) else {
            return None;
        };
        if let Some((store, lane)) = *lane {
            backends[store].batcher.limit(lane, most);
            return None;
        }
        let load = Load {
            waiting: all_metrics.backends[*at].single.waiting.clone(),
            ..Load::unscraped()
        };
        let waiting_max = program.backends[*at].waiting_max;
        Some(Permits::new(most, waiting_max, (load, backlogs)))
    });
    limits.collect()
}

/// How long each lookup may wait for its turn. Empty if none has such a limit.
fn wait_limits(program: &Program) -> Vec<Option<Duration>> {
    let lookups = program.lookups.iter();
    let limits: Vec<_> = lookups.map(|lookup| program.wait_max(lookup)).collect();
    let is_any = limits.iter().any(Option::is_some);
    if is_any { limits } else { Vec::new() }
}

/// The memory for the answers of a loop's stores.
fn new_memory(program: &Program, metrics: &ProgramMetrics) -> StoreMemory {
    let memory = StoreMemory::new(&program.limits);
    metrics.show_memory(&memory);
    memory
}

impl Store {
    /// Asks one question alone, once it has its permit.
    async fn lookup(
        &self,
        lookup: &AnyLookup,
        (question, latest): (Question<'_>, Option<Instant>),
    ) -> Result<Answer, LookupError> {
        let lookup = self.backend.lookup(lookup, question.as_ask());
        self.permits.hold((&question, latest), lookup).await
    }

    /// As [`Store::lookup`], once it also has a permit of its own kind. The wait for that one comes first, so that it keeps no
    /// other lookup from the store.
    async fn lookup_limited(
        &self,
        own: &Permits,
        lookup: &AnyLookup,
        (question, latest): (Question<'_>, Option<Instant>),
    ) -> Result<Answer, LookupError> {
        let asking = self.lookup(lookup, (question.clone(), latest));
        own.hold((&question, latest), asking).await
    }
}

/// The store and the lane of each lookup that travels in batches. Each lookup that has a limit of its own has a lane of its own,
/// after those of its store.
fn lanes(program: &Program, stores: &[Rc<Store>]) -> Vec<Option<(usize, usize)>> {
    let lane = |asks: &Asks| match asks {
        Asks::Store(_, lookup) => lookup.lane(),
        Asks::Closure(_) => 0,
    };
    let common = program.lookups.iter().map(|lookup| lane(&lookup.asks));
    let first_own = common.clone().max().map_or(0, |last| last + 1);
    let mut own = first_own..;
    let lookups = program.lookups.iter().zip(common);
    lookups
        .map(|(lookup, common)| {
            let lane = match lookup.in_flight_max {
                Some(_) => own.next().unwrap_or(common),
                None => common,
            };
            match &lookup.asks {
                Asks::Store(store, asks) if stores[*store].batches && asks.batches() => {
                    Some((*store, lane))
                }
                _ => None,
            }
        })
        .collect()
}
