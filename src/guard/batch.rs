//! Lets lookups of different calls travel to their store as one question.
//!
//! A lookup joins its store's queue and waits in a reply slot. A few workers per store empty the queue. The first
//! lookup in an iteration of the event loop wakes a worker, which runs after all calls of that iteration have queued
//! theirs; while all workers are busy, the queue collects the next batch. No lookup ever waits for a batch to fill.
//! Workers are never dropped halfway: a lookup that is abandoned (deadline, cancelled call) gives up its slot, never a
//! connection, and is not sent if it is still queued.

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

use super::params::Params;
use super::permit::queue_full;
use super::question::Question;
use super::reply_slots::{ReplySlots, Responder, SlotId};
use crate::backend::{AnyBackend, LookupError};
use crate::error::Code;
use crate::metrics::{BackendMetrics, Histogram, Load};
use crate::plan::LookupId;
use crate::program::{Asks, BackendDef, Program};
use crate::supervise::supervise;
use crate::timeline::Source;

/// The maximum number of batches of one store under way at a time.
const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// One store's queue and its workers, one per batch under way.
pub(super) struct Batcher {
    queue: Rc<Queue>,
    _workers: Vec<AbortOnDropHandle<()>>,
}

struct Queue {
    entries: RefCell<VecDeque<Entry>>,
    /// The wakers of idle workers.
    idle: RefCell<[Option<Waker>; BATCHES_IN_FLIGHT_MAX]>,
    /// A worker was woken and has not taken its batch yet.
    woken: Cell<bool>,
    /// The lookups that workers have taken and not answered, and the queued lookups.
    load: Load,
    sizes: Histogram,
    batch_max: usize,
    in_flight_max: usize,
    waiting_max: usize,
}

struct Entry {
    lookup: LookupId,
    params: Params,
    responder: Responder,
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
            load: metrics.batched.clone(),
            sizes: metrics.batches.clone(),
            batch_max: limits.batch_max,
            in_flight_max: limits.in_flight_max,
            waiting_max: limits.waiting_max,
        });
        let work = |at| {
            let (queue, program) = (Rc::clone(&queue), Arc::clone(program));
            let backend = Rc::clone(backend);
            supervise("batches", move || {
                let (queue, program) = (Rc::clone(&queue), Arc::clone(&program));
                work(at, queue, program, Rc::clone(&backend))
            })
        };
        let workers = (0..BATCHES_IN_FLIGHT_MAX).map(work).collect();
        Batcher {
            queue,
            _workers: workers,
        }
    }

    /// Queues a question. Its answer arrives in the next free slot of `slots`.
    pub(super) fn push(
        &self,
        question: &Question<'_>,
        slots: &ReplySlots,
    ) -> Result<SlotId, LookupError> {
        if self.queue.is_full() {
            return Err(queue_full());
        }
        let (slot, responder) = slots.open();
        self.queue.push(Entry {
            lookup: question.lookup,
            params: question.params.clone(),
            responder,
            deadline: question.deadline,
        });
        Ok(slot)
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.entries.borrow().len() >= self.waiting_max
    }

    fn push(&self, entry: Entry) {
        let mut entries = self.entries.borrow_mut();
        entries.push_back(entry);
        self.load.waiting.set(entries.len());
        drop(entries);
        self.wake_one();
    }

    /// Wakes a worker, unless one was woken that has not taken its batch yet.
    fn wake_one(&self) {
        if self.woken.get() {
            return;
        }
        if let Some(worker) = self.idle.borrow_mut().iter_mut().find_map(Option::take) {
            self.woken.set(true);
            worker.wake();
        }
    }

    /// Moves the next batch into `batch`, which is empty, for the worker at `at`. Waits until there is one.
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

    /// Takes what is queued, up to one batch and up to `in_flight_max`, without abandoned lookups.
    fn take(&self, batch: &mut VecDeque<Entry>) {
        let mut entries = self.entries.borrow_mut();
        let room = self.in_flight_max.saturating_sub(self.load.in_flight.get());
        let most = room.min(self.batch_max);
        if entries.len() <= most {
            // The usual case: the batch becomes the queue and the queue the batch, so that no entry is moved.
            std::mem::swap(batch, &mut *entries);
            batch.retain(|entry| entry.responder.mark_sent());
        } else {
            while batch.len() < most
                && let Some(entry) = entries.pop_front()
            {
                if entry.responder.mark_sent() {
                    batch.push_back(entry);
                }
            }
        }
        self.load.waiting.set(entries.len());
        self.load.in_flight.more(batch.len());
    }

    /// Frees a batch's share of `in_flight_max` after the batch has ended.
    fn ended(&self, count: usize) {
        self.load.in_flight.less(count);
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
            let Asks::Store(_, lookup) = &program.lookups[entry.lookup.0].asks else {
                return None;
            };
            Some((lookup, &entry.params[..]))
        });
        let last = batch.iter().map(|entry| entry.deadline).max();
        let last = last.unwrap_or_else(Instant::now);
        let asking = AssertUnwindSafe(backend.lookup_many(asks)).catch_unwind();
        let answers = timeout_at(last, asking).await;
        queue.ended(batch.len());
        let answers = match answers {
            Ok(Ok(answers)) => answers,
            // A panic affects only the lookups of its batch, not later ones.
            Ok(Err(_panic)) => Vec::new(),
            // It is too late for all of them: every asker has given up.
            Err(_elapsed) => continue,
        };
        let arrived = Instant::now();
        let shared = batch.len() > 1;
        let mut answers = answers.into_iter();
        for entry in batch.drain(..) {
            let none = || {
                Err(LookupError::new(
                    Code::ServerInternal,
                    "the batch has no answer for this lookup",
                ))
            };
            let mut answer = answers.next().unwrap_or_else(none);
            if let Ok(answer) = &mut answer {
                answer.first_answer.get_or_insert(arrived);
                if shared {
                    answer.source = Source::Batched;
                }
            }
            entry.responder.send(answer);
        }
    }
}
