//! Lookups of different calls that meet in one turn of the loop travel as one question.
//!
//! A lookup puts itself into its backend's queue and waits in a [`Seat`]. A few workers per backend empty the
//! queue: the first lookup of a turn wakes one, which runs after every call of that turn has queued its own; while
//! all workers are on their way, the queue gathers the next batch. Nobody ever waits for a batch to fill.
//! Workers are never dropped half-way: a lookup that is abandoned (deadline, cancelled call) leaves its seat,
//! never a connection, and one that was not sent yet is not sent at all.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::LookupId;
use super::params::Params;
use super::seat::{Place, Seat, Seats};
use crate::backend::{AnyBackend, LookupError};
use crate::error::Code;
use crate::metrics::{BackendMetrics, Histogram, Turns};
use crate::program::{Asks, BackendDef, Program};
use crate::timeline::Source;

/// Batches of one backend on their way at a time.
const WORKERS: usize = 4;

/// One backend's queue and its workers.
pub(super) struct Batcher {
    queue: Rc<Queue>,
    _workers: Vec<AbortOnDropHandle<()>>,
}

struct Queue {
    entries: RefCell<VecDeque<Entry>>,
    /// One place per worker: filled while it has nothing to do.
    idle: RefCell<[Option<Waker>; WORKERS]>,
    /// A worker was woken and has not looked at the queue yet.
    woken: Cell<bool>,
    /// Lookups that workers have taken and not answered, and those that are queued.
    turns: Turns,
    sizes: Histogram,
    batch_max: usize,
    in_flight_max: usize,
    waiting_max: usize,
}

struct Entry {
    id: LookupId,
    params: Params,
    place: Place,
    deadline: Instant,
}

impl Batcher {
    /// Starts the workers on this loop.
    pub(super) fn start(
        program: &Arc<Program>,
        backend: &Rc<AnyBackend>,
        limits: &BackendDef,
        metrics: &BackendMetrics,
    ) -> Self {
        let queue = Rc::new(Queue {
            entries: RefCell::default(),
            idle: RefCell::default(),
            woken: Cell::new(false),
            turns: metrics.batched.clone(),
            sizes: metrics.batches.clone(),
            batch_max: limits.batch_max,
            in_flight_max: limits.in_flight_max,
            waiting_max: limits.waiting_max,
        });
        let work = |at| {
            let worker = work(
                at,
                Rc::clone(&queue),
                Arc::clone(program),
                Rc::clone(backend),
            );
            AbortOnDropHandle::new(tokio::task::spawn_local(worker))
        };
        let workers = (0..WORKERS).map(work).collect();
        Batcher {
            queue,
            _workers: workers,
        }
    }

    /// Asks with whoever else asks in this turn; the answer will come to the next free seat of `seats`.
    pub(super) fn ask(
        &self,
        id: LookupId,
        params: Params,
        seats: &Seats,
        deadline: Instant,
    ) -> Result<Seat, LookupError> {
        let (seat, place) = seats.take();
        self.queue.push(Entry {
            id,
            params,
            place,
            deadline,
        })?;
        Ok(seat)
    }
}

impl Queue {
    fn push(&self, entry: Entry) -> Result<(), LookupError> {
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= self.waiting_max {
            return Err(LookupError::new(Code::LookupShed, "`waiting_max` reached"));
        }
        entries.push_back(entry);
        self.turns.waiting.set(entries.len());
        drop(entries);
        self.wake_one();
        Ok(())
    }

    /// One worker is enough until it has taken what is there.
    fn wake_one(&self) {
        if self.woken.get() {
            return;
        }
        if let Some(worker) = self.idle.borrow_mut().iter_mut().find_map(Option::take) {
            self.woken.set(true);
            worker.wake();
        }
    }

    /// Puts the next batch for the worker at `at` into `batch`, which is empty; waits until there is one.
    async fn next(&self, at: usize, batch: &mut VecDeque<Entry>) {
        poll_fn(|cx| {
            self.woken.set(false);
            self.take(batch);
            if batch.is_empty() {
                self.idle.borrow_mut()[at] = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.idle.borrow_mut()[at] = None;
            if !self.entries.borrow().is_empty() {
                self.wake_one();
            }
            Poll::Ready(())
        })
        .await;
    }

    /// What waits, up to one batch and as many as have their turn, without those that nobody waits for any more.
    fn take(&self, batch: &mut VecDeque<Entry>) {
        let mut entries = self.entries.borrow_mut();
        let turns = self
            .in_flight_max
            .saturating_sub(self.turns.in_flight.get());
        let most = turns.min(self.batch_max);
        if entries.len() <= most {
            // All of them, as nearly always: the two take turns, so that none is moved.
            std::mem::swap(batch, &mut *entries);
            batch.retain(|entry| entry.place.send());
        } else {
            while batch.len() < most
                && let Some(entry) = entries.pop_front()
            {
                if entry.place.send() {
                    batch.push_back(entry);
                }
            }
        }
        self.turns.waiting.set(entries.len());
        let in_flight = &self.turns.in_flight;
        in_flight.set(in_flight.get() + batch.len());
    }

    /// Gives the turns of a batch back.
    fn answered(&self, count: usize) {
        let in_flight = &self.turns.in_flight;
        in_flight.set(in_flight.get() - count);
        if !self.entries.borrow().is_empty() {
            self.wake_one();
        }
    }
}

async fn work(at: usize, queue: Rc<Queue>, program: Arc<Program>, backend: Rc<AnyBackend>) {
    let mut batch = VecDeque::new();
    loop {
        batch.clear();
        queue.next(at, &mut batch).await;
        queue.sizes.observe(batch.len() as u64);
        let asks = batch.iter().filter_map(|entry| {
            let Asks::Store(_, lookup) = &program.lookups[entry.id.0].asks else {
                return None;
            };
            Some((lookup, &entry.params[..]))
        });
        let last = batch.iter().map(|entry| entry.deadline).max();
        let last = last.unwrap_or_else(Instant::now);
        let asking = AssertUnwindSafe(backend.lookup_many(asks)).catch_unwind();
        let answers = timeout_at(last, asking).await;
        queue.answered(batch.len());
        let answers = match answers {
            Ok(Ok(answers)) => answers,
            // A panic ends in its own lookups, not in those that come after.
            Ok(Err(_panic)) => Vec::new(),
            // Too late for the last of them: every asker has given up by now.
            Err(_elapsed) => continue,
        };
        let came = Instant::now();
        let shared = batch.len() > 1;
        let mut answers = answers.into_iter();
        for entry in batch.drain(..) {
            let none = || {
                Err(LookupError::new(
                    Code::ServerInternal,
                    "a batch without an answer",
                ))
            };
            let mut answer = answers.next().unwrap_or_else(none);
            if let Ok(answer) = &mut answer {
                answer.first_answer.get_or_insert(came);
                if shared {
                    answer.source = Source::Batched;
                }
            }
            entry.place.fill(answer);
        }
    }
}
