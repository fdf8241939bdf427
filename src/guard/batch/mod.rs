//! Lets lookups of different calls travel to their store as one question.
//!
//! A lookup joins its lane of its store's queue and waits in a reply slot. One task per store sends batches and waits for
//! their answers. The first lookup in an iteration of the event loop wakes it, so it runs after all calls of that iteration
//! have queued theirs. No lookup ever waits for a batch to fill; [`lanes`] says when a lane with many batches under way waits
//! a millisecond. A batch is never dropped halfway: a lookup that is abandoned (deadline, cancelled call) gives up its slot,
//! never a connection, and is not sent if it is still queued.

mod lanes;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use self::lanes::{Lanes, Limits, Queued, Sent};
use super::backlog::{Backlog, Backlogs, Prospect, is_of_store};
use super::deadlines::{Alarm, Deadlines};
use super::of_loop::OfLoop;
use super::params::KeptParams;
use super::permit::{queue_full, waited};
use super::question::Question;
use super::reply_slots::{ReplySlots, Responder, SlotId};
use crate::backend::{Answer, Answers, AnyBackend, LookupError};
use crate::context::CallerId;
use crate::metrics::{BackendMetrics, Histogram, Load};
use crate::plan::LookupId;
use crate::program::{Asks, BackendDef};
use crate::supervise::supervise;
use crate::timeline::Source;

/// How often a batch under way finds out whether anybody still waits for it.
const STILL_WANTED: Duration = Duration::from_millis(50);
/// How many buffers of ended batches are kept for later ones.
const SPARE_MAX: usize = 8;

/// One store's queue, and the task that empties it.
pub(super) struct Batcher {
    queue: Rc<Queue>,
    _dispatcher: AbortOnDropHandle<()>,
}

struct Queue {
    lanes: RefCell<Lanes<Entry>>,
    /// Wakes the dispatcher.
    dispatcher: Cell<Option<Waker>>,
    /// Buffers of batches that have ended.
    spare: RefCell<Vec<VecDeque<Entry>>>,
    load: Load,
    sizes: Histogram,
    /// Those of the batches under way.
    deadlines: Deadlines,
}

struct Entry {
    lookup: LookupId,
    params: KeptParams,
    /// Knows what the lookups of the call have in common.
    responder: Responder,
    deadline: Instant,
    /// When it has waited too long to be sent, if there is a limit.
    latest: Option<Instant>,
}

impl Entry {
    /// The program that the lookup belongs to: batches serve that before and that after a reload.
    fn program(&self) -> Option<&OfLoop> {
        self.responder.call().map(|call| &*call.program)
    }
}

impl Queued for Entry {
    fn caller(&self) -> CallerId {
        let call = self.responder.call();
        call.map_or_else(CallerId::default, |call| call.caller)
    }

    fn latest(&self) -> Option<Instant> {
        self.latest
    }
}

/// A batch under way. The lanes hear of its end even if it is dropped.
struct Batch {
    queue: Rc<Queue>,
    entries: VecDeque<Entry>,
    sent: Sent,
    /// When it was taken out of the queue.
    at: Instant,
}

impl Batcher {
    /// Starts the dispatcher on this loop.
    pub(super) fn start(
        backend: &Rc<AnyBackend>,
        limits: &BackendDef,
        (metrics, backlogs): (&BackendMetrics, &Backlogs),
    ) -> Self {
        let limits = Limits {
            batch_max: limits.batch_max,
            in_flight_max: limits.in_flight_max,
            waiting_max: limits.waiting_max,
        };
        let lanes = Lanes::new(limits, backlogs);
        let queue = Rc::new(Queue {
            lanes: RefCell::new(lanes),
            dispatcher: Cell::default(),
            spare: RefCell::default(),
            load: metrics.batched.clone(),
            sizes: metrics.batches.clone(),
            deadlines: Deadlines::start(),
        });
        let (of_dispatcher, backend) = (Rc::clone(&queue), Rc::clone(backend));
        let dispatcher = supervise("batches", move || {
            dispatch(Rc::clone(&of_dispatcher), Rc::clone(&backend))
        });
        Batcher {
            queue,
            _dispatcher: dispatcher,
        }
    }

    /// Queues a question in a lane, in which it waits until `latest` at most. Its answer arrives in the next free slot of `slots`.
    pub(super) fn push(
        &self,
        lane: usize,
        ((program, question), latest): ((&Rc<OfLoop>, &Question<'_>), Option<Instant>),
        slots: &ReplySlots,
    ) -> Result<SlotId, LookupError> {
        let queue = &*self.queue;
        let mut lanes = queue.lanes.borrow_mut();
        if lanes.is_full(lane, Instant::now) {
            return Err(queue_full());
        }
        let (slot, responder) = slots.open_queued(program, question.context.caller);
        let entry = Entry {
            lookup: question.lookup,
            params: question.params.keep(&responder),
            responder,
            deadline: question.deadline,
            latest,
        };
        let may_send = lanes.push(lane, entry);
        queue.load.waiting.set(lanes.waiting());
        drop(lanes);
        if may_send {
            queue.wake_dispatcher();
        }
        Ok(slot)
    }

    /// Gives a lane a limit of its own.
    pub(super) fn limit(&self, lane: usize, in_flight_max: usize) {
        self.queue.lanes.borrow_mut().limit(lane, in_flight_max);
    }

    /// Looks at a lane, which has so many lookups in it. `None`: nothing has ever waited there.
    pub(super) fn with_backlog<R>(
        &self,
        lane: usize,
        look: impl FnOnce(&mut Backlog, usize) -> R,
    ) -> Option<R> {
        self.queue.lanes.borrow_mut().with_backlog(lane, look)
    }

    /// What a lookup finds in a lane whose caller has `own` in it.
    pub(super) fn prospect(&self, lane: usize, own: usize, now: Instant) -> Option<Prospect> {
        self.queue.lanes.borrow_mut().prospect(lane, own, now)
    }
}

impl Queue {
    fn wake_dispatcher(&self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.wake();
        }
    }

    /// So many more lookups of a batch have their answers, `served` of them in time and from the store.
    fn answered(&self, sent: &mut Sent, count: usize, served: usize) {
        if count > 0 {
            let mut lanes = self.lanes.borrow_mut();
            lanes.answered(sent, count, served);
            self.load.in_flight.set(lanes.in_flight());
        }
    }

    /// The next batch that may be sent now.
    fn next(self: &Rc<Self>) -> Option<Batch> {
        let mut lanes = self.lanes.borrow_mut();
        if !lanes.may_have_batch() {
            return None;
        }
        let mut entries = self.spare.borrow_mut().pop().unwrap_or_default();
        let now = Instant::now();
        let sent = lanes.take(now, &mut entries, |entry| entry.responder.mark_sent());
        self.load.waiting.set(lanes.waiting());
        self.load.in_flight.set(lanes.in_flight());
        let Some(sent) = sent else {
            self.spare.borrow_mut().push(entries);
            return None;
        };
        self.sizes.observe(entries.len() as u64);
        Some(Batch {
            queue: Rc::clone(self),
            entries,
            sent,
            at: now,
        })
    }
}

impl Queue {
    /// Fails the lookups that have waited too long to be sent.
    #[cold]
    fn expire(&self) {
        let mut lanes = self.lanes.borrow_mut();
        let expired = lanes.expire(Instant::now());
        self.load.waiting.set(lanes.waiting());
        drop(lanes);
        for entry in expired {
            entry.responder.send(Err(waited()));
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut lanes = self.queue.lanes.borrow_mut();
        lanes.ended(&mut self.sent);
        self.queue.load.in_flight.set(lanes.in_flight());
        let mut spare = self.queue.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            self.entries.clear();
            spare.push(std::mem::take(&mut self.entries));
        }
    }
}

/// Sends batches, and sees them to their ends.
async fn dispatch(queue: Rc<Queue>, backend: Rc<AnyBackend>) {
    let mut under_way = FuturesUnordered::new();
    let mut pace = pin!(None);
    poll_fn(|cx| -> Poll<()> {
        loop {
            // A batch that ends may let another one leave.
            while let Poll::Ready(Some(())) = under_way.poll_next_unpin(cx) {}
            if queue.lanes.borrow().may_expire() {
                queue.expire();
            }
            let mut sent_any = false;
            while let Some(batch) = queue.next() {
                under_way.push(ask(batch, Rc::clone(&backend)));
                sent_any = true;
            }
            if !sent_any && wait_for_pace(&queue, pace.as_mut(), cx).is_pending() {
                queue.lanes.borrow_mut().rest(Instant::now);
                queue.dispatcher.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Ready when a lane may send whose pace has kept it from sending, or when a lookup has waited too long.
fn wait_for_pace(
    queue: &Queue,
    mut pace: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let lanes = queue.lanes.borrow();
    let Some(due) = lanes.due().into_iter().chain(lanes.expiry()).min() else {
        return Poll::Pending;
    };
    drop(lanes);
    if pace
        .as_ref()
        .get_ref()
        .as_ref()
        .is_none_or(|pace| pace.deadline() != due)
    {
        pace.set(Some(sleep_until(due)));
    }
    pace.as_pin_mut()
        .map_or(Poll::Pending, |pace| pace.poll(cx))
}

/// Polls from `begun` on until that returns true, `last` has passed, or nothing is wanted any more. Returns false unless it is
/// done.
async fn until_done(
    deadlines: &Deadlines,
    (begun, last): (Instant, Instant),
    mut poll: impl FnMut(&mut Context<'_>) -> bool,
    is_wanted: impl Fn() -> bool,
) -> bool {
    let mut until = last.min(begun + STILL_WANTED);
    let mut alarm: Option<Alarm> = None;
    poll_fn(|cx| {
        if poll(cx) {
            return Poll::Ready(true);
        }
        let Some(alarm) = &alarm else {
            // Nearly always the only time, so it reads no clock. An alarm of the past rings at once.
            alarm = Some(deadlines.set(until, cx));
            return Poll::Pending;
        };
        let now = Instant::now();
        if until <= now {
            if last <= now || !is_wanted() {
                return Poll::Ready(false);
            }
            until = last.min(now + STILL_WANTED);
        }
        alarm.reset(until, cx);
        Poll::Pending
    })
    .await
}

/// The last deadline of a batch. A loop: `max` takes several times as long.
fn last_deadline(entries: &VecDeque<Entry>) -> Instant {
    let first = entries.front();
    let mut last = first.map_or_else(Instant::now, |first| first.deadline);
    for entry in entries {
        if entry.deadline > last {
            last = entry.deadline;
        }
    }
    last
}

/// Asks the questions of a batch. Each answer is delivered the moment the store's kind gives it.
async fn ask(mut batch: Batch, backend: Rc<AnyBackend>) {
    let Batch {
        queue,
        entries,
        sent,
        at,
    } = &mut batch;
    let (deadlines, entries) = (&queue.deadlines, &*entries);
    let asks = entries.iter().filter_map(|entry| {
        let Asks::Store(_, lookup) = entry.program()?.asks(entry.lookup) else {
            return None;
        };
        Some((lookup, entry.params.values(&entry.responder)))
    });
    let first = entries.front();
    let first = first.and_then(|first| Some((first.program()?.metrics(), first.lookup)));
    let last = last_deadline(entries);
    // The answers that arrive together share one look at the clock.
    let arrived = Cell::new(None);
    let mates = u16::try_from(entries.len().saturating_sub(1)).unwrap_or(u16::MAX);
    let (answered, served) = (Cell::new(0), Cell::new(0));
    let open = Cell::new(entries.len());
    let give = |at: usize, mut answer: Result<Answer, LookupError>| {
        let Some(entry) = entries.get(at) else {
            return;
        };
        let is_of_store = is_of_store(&answer);
        if let Ok(answer) = &mut answer {
            if answer.first_answer.is_none() {
                let now = arrived.get().unwrap_or_else(Instant::now);
                arrived.set(Some(now));
                answer.first_answer = Some(now);
            }
            if mates > 0 {
                (answer.source, answer.mates) = (Source::Batched, mates);
            }
        }
        let is_awaited = entry.responder.send(answer);
        open.set(open.get() - usize::from(is_awaited));
        answered.set(answered.get() + 1);
        served.set(served.get() + usize::from(is_of_store && is_awaited));
    };
    let asking = backend.lookup_many(asks, Answers::new(&give));
    let mut asking = pin!(AssertUnwindSafe(asking).catch_unwind());
    let poll = |cx: &mut Context<'_>| {
        arrived.set(None);
        if let Some((metrics, lookup)) = first {
            metrics.turn_to_batch(lookup);
        }
        let polled = asking.as_mut().poll(cx);
        queue.answered(sent, answered.take(), served.take());
        if let Some((metrics, _)) = first {
            metrics.turn_away();
        }
        polled.is_ready()
    };
    // A panic affects only the lookups of its batch, not later ones. At the last deadline every asker has given up; some
    // batches have lost all of them earlier.
    let is_wanted = || entries.iter().any(|entry| entry.responder.is_open());
    if !until_done(deadlines, (*at, last), poll, is_wanted).await {
        return;
    }
    // Nearly always, all have their answers.
    if open.get() > 0 {
        for entry in entries {
            entry.responder.fail_unanswered();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_batch_ends_soon_after_its_last_asker_has_left_and_at_the_last_deadline() {
        let deadlines = Deadlines::start();
        let ms = Duration::from_millis;
        let begun = Instant::now();
        let after = |time: u64| begun + ms(time);
        assert!(until_done(&deadlines, (begun, after(500)), |_| true, || false).await);
        assert_eq!(begun.elapsed(), ms(0));
        let has_asker = || Instant::now() < after(120);
        assert!(!until_done(&deadlines, (begun, after(500)), |_| false, has_asker).await);
        let left = begun.elapsed();
        assert!(
            left >= ms(120) && left <= ms(120) + STILL_WANTED,
            "{left:?}"
        );
        assert!(!until_done(&deadlines, (begun, after(500)), |_| false, || true).await);
        let late = begun.elapsed();
        assert!(late >= ms(500) && late < ms(510), "{late:?}");
    }
}
