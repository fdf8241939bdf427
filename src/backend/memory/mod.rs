//! Counts the memory that stores' answers take on one loop, and makes large answers wait for each other.
//!
//! A kind counts what it reads with [`Reading`], and attaches the [`Held`] to the answer, which keeps it counted until the
//! reply is encoded. Small answers cost nothing. At `store_bytes_max` an answer waits until others are gone, or ends in
//! `lookup.shed` if its connection can't wait. Of all calls one may go beyond the limit, by as much again: calls that
//! each hold a part and wait for more would otherwise wait for each other. Decoding waits for nothing: an answer that is
//! larger as a value than as bytes counts more from then on.

mod lent;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::config::LimitsConfig;
use crate::context::Context;

pub(crate) use lent::Lent;

/// A smaller answer is not counted.
pub(super) const FREE_BYTES: usize = 64 * 1024;
/// More is counted in steps, so that a body in many pieces is not counted with each of them.
const STEP_BYTES: usize = 64 * 1024;

/// The memory that the stores' answers on one loop take.
#[derive(Clone, Debug)]
pub struct StoreMemory(Rc<Budget>);

#[derive(Debug)]
struct Budget {
    bytes_max: usize,
    counts: Arc<Counts>,
    /// How many answers wait.
    waiting: Cell<usize>,
    /// The call that may go beyond the limit.
    ahead: RefCell<Weak<Ahead>>,
}

/// What answers on other threads change, too.
#[derive(Debug)]
struct Counts {
    bytes: Arc<[AtomicU64]>,
    refused: Arc<[AtomicU64]>,
    /// With less than this there is room again.
    roomy_below: u64,
    /// Notified when there is room, or another call may go beyond the limit.
    room: Notify,
}

/// The right of one call to go beyond the limit. It ends when none of its answers that did so is left.
#[derive(Debug)]
struct Ahead {
    call: Option<CallAddr>,
    bytes: AtomicUsize,
    counts: Arc<Counts>,
}

/// The address of a call's context, by which its lookups are recognised while it runs.
type CallAddr = usize;

/// Other answers hold all of `store_bytes_max`, or the answer is larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRoom;

/// The memory of an answer that is being read. Dropping it releases the memory.
#[derive(Debug)]
pub(crate) struct Reading {
    budget: Rc<Budget>,
    call: Option<CallAddr>,
    /// None as long as the answer is small.
    reserved: Option<Reserved>,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
struct Reserved {
    counts: Arc<Counts>,
    bytes: usize,
    /// The right under which some of them were taken, and how many.
    ahead: Option<Arc<Ahead>>,
    ahead_bytes: usize,
}

/// The memory of an answer, counted until the last clone is dropped. None for a small answer.
#[derive(Clone, Debug, Default)]
pub struct Held(Option<Arc<Holds>>);

#[derive(Debug)]
enum Holds {
    One(Reserved),
    Several { _held: Vec<Held> },
}

impl StoreMemory {
    /// An empty budget.
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        let bytes_max = limits.store_bytes_max;
        let count = || Arc::from([AtomicU64::new(0)]);
        StoreMemory(Rc::new(Budget {
            bytes_max,
            counts: Arc::new(Counts {
                bytes: count(),
                refused: count(),
                // Less would wake all that wait for each answer that ends.
                roomy_below: (bytes_max - bytes_max / 8) as u64,
                room: Notify::new(),
            }),
            waiting: Cell::new(0),
            ahead: RefCell::default(),
        }))
    }

    /// The bytes held and the answers refused, for a scrape on another thread.
    pub(crate) fn counts(&self) -> [&Arc<[AtomicU64]>; 2] {
        [&self.0.counts.bytes, &self.0.counts.refused]
    }

    /// The memory of an answer to a lookup of `call`, of which nothing is read yet.
    pub(super) fn read_for(&self, call: &Context) -> Reading {
        self.read(Some(std::ptr::from_ref(call).addr()))
    }

    /// The memory of an answer that several calls share, or of a connection that does.
    pub(crate) fn read_shared(&self) -> Reading {
        self.read(None)
    }

    fn read(&self, call: Option<CallAddr>) -> Reading {
        Reading {
            budget: Rc::clone(&self.0),
            call,
            reserved: None,
        }
    }
}

impl Default for StoreMemory {
    fn default() -> Self {
        StoreMemory::new(&LimitsConfig::default())
    }
}

/// Of an answer that is too small to be counted.
impl Default for Reading {
    fn default() -> Self {
        StoreMemory::default().read_shared()
    }
}

impl Reading {
    /// Leaves one in its place that counts nothing yet.
    pub(super) fn take(&mut self) -> Self {
        Reading {
            budget: Rc::clone(&self.budget),
            call: self.call,
            reserved: self.reserved.take(),
        }
    }

    /// Counts that the answer takes `bytes` now. Waits for room until `deadline`.
    pub(crate) async fn wait(&mut self, bytes: usize, deadline: Instant) -> Result<(), NoRoom> {
        // Those that have begun come first: each that ends makes room for all.
        let mut waits_first = self.is_new_among_waiting();
        if self.counts(bytes) || !waits_first && self.fits(bytes) {
            return Ok(());
        }
        if self.never_fits(bytes) {
            return Err(self.budget.counts.refuse());
        }
        let budget = Rc::clone(&self.budget);
        let _waiting = Waiting::begin(&budget);
        let fits = async {
            loop {
                let mut room = pin!(budget.counts.room.notified());
                room.as_mut().enable();
                if !std::mem::take(&mut waits_first) && self.fits(bytes) {
                    return;
                }
                room.await;
            }
        };
        let mut fits = pin!(timeout_at(deadline, fits));
        let fits = poll_fn(|cx| match fits.as_mut().poll(cx) {
            Poll::Ready(fits) => Poll::Ready(fits.is_ok()),
            // The call has another timer, which may be first to wake it.
            Poll::Pending if Instant::now() >= deadline => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        });
        if fits.await {
            return Ok(());
        }
        Err(budget.counts.refuse())
    }

    /// Counts that the answer takes `bytes` now, or says that there is no room.
    pub(super) fn now(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if self.counts(bytes) || self.fits(bytes) {
            return Ok(());
        }
        Err(self.budget.counts.refuse())
    }

    /// The memory of the answer, which is complete.
    pub(crate) fn held(self) -> Held {
        self.reserved.map(Held::from).unwrap_or_default()
    }

    fn is_new_among_waiting(&self) -> bool {
        self.reserved.is_none() && self.budget.waiting.get() > 0
    }

    /// Whether that many bytes are counted, or need not be.
    fn counts(&self, bytes: usize) -> bool {
        let counted = self.reserved.as_ref().map_or(0, |reserved| reserved.bytes);
        bytes <= counted.max(FREE_BYTES)
    }

    /// Whether a single answer is larger than the limit.
    fn never_fits(&self, bytes: usize) -> bool {
        bytes.next_multiple_of(STEP_BYTES) > self.budget.bytes_max
    }

    /// Counts more bytes than are counted, if there is room.
    fn fits(&mut self, bytes: usize) -> bool {
        if self.never_fits(bytes) {
            return false;
        }
        let counted = self.reserved.as_ref().map_or(0, |reserved| reserved.bytes);
        let more = bytes.next_multiple_of(STEP_BYTES) - counted;
        let mut ahead = None;
        let taken = self.budget.counts.bytes[0].load(Ordering::Relaxed);
        if taken + more as u64 > self.budget.bytes_max as u64 {
            ahead = self.ahead();
            ahead = ahead.filter(|ahead| ahead.takes(more, &self.budget));
            if ahead.is_none() {
                return false;
            }
        }
        let counts = &self.budget.counts;
        let reserved = self.reserved.get_or_insert_with(|| Reserved::new(counts));
        reserved.take(more, ahead);
        true
    }

    /// The right to go beyond the limit, if this call has it or no call has.
    fn ahead(&self) -> Option<Arc<Ahead>> {
        let own = self.reserved.as_ref();
        if let Some(ahead) = own.and_then(|reserved| reserved.ahead.clone()) {
            return Some(ahead);
        }
        if let Some(ahead) = self.budget.ahead.borrow().upgrade() {
            return Some(ahead).filter(|ahead| ahead.call.is_some() && ahead.call == self.call);
        }
        let counts = &self.budget.counts;
        let ahead = Arc::new(Ahead {
            call: self.call,
            bytes: AtomicUsize::new(0),
            counts: Arc::clone(counts),
        });
        self.budget.ahead.replace(Arc::downgrade(&ahead));
        // Other lookups of the call may go on as well.
        counts.room.notify_waiters();
        Some(ahead)
    }
}

impl Ahead {
    fn takes(&self, more: usize, budget: &Budget) -> bool {
        self.bytes.load(Ordering::Relaxed) + more <= budget.bytes_max
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.counts.room.notify_waiters();
    }
}

impl Counts {
    fn refuse(&self) -> NoRoom {
        self.refused[0].fetch_add(1, Ordering::Relaxed);
        NoRoom
    }
}

impl Reserved {
    fn new(counts: &Arc<Counts>) -> Self {
        Reserved {
            counts: Arc::clone(counts),
            bytes: 0,
            ahead: None,
            ahead_bytes: 0,
        }
    }

    fn take(&mut self, more: usize, ahead: Option<Arc<Ahead>>) {
        if let Some(ahead) = ahead {
            ahead.bytes.fetch_add(more, Ordering::Relaxed);
            self.ahead_bytes += more;
            self.ahead = Some(ahead);
        }
        self.bytes += more;
        self.counts.bytes[0].fetch_add(more as u64, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.bytes.fetch_sub(self.ahead_bytes, Ordering::Relaxed);
        }
        if self.bytes > 0 {
            let bytes = self.bytes as u64;
            let before = self.counts.bytes[0].fetch_sub(bytes, Ordering::Relaxed);
            if before - bytes < self.counts.roomy_below {
                self.counts.room.notify_waiters();
            }
        }
    }
}

impl From<Reserved> for Held {
    fn from(reserved: Reserved) -> Self {
        Held((reserved.bytes > 0).then(|| Arc::new(Holds::One(reserved))))
    }
}

/// The same memory.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Held {
    /// The memory of several answers.
    pub(crate) fn several(held: impl Iterator<Item = Held>) -> Self {
        let held: Vec<_> = held.filter(|held| held.0.is_some()).collect();
        Held((!held.is_empty()).then(|| Arc::new(Holds::Several { _held: held })))
    }

    /// Whether there is nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// The memory of the same answer, decoded: it takes `bytes` now, whether there is room or not.
    pub(super) fn decoded(self, bytes: impl FnOnce() -> usize) -> Self {
        let Some(Holds::One(before)) = self.0.as_deref() else {
            return self;
        };
        let bytes = bytes();
        let mut after = Reserved::new(&before.counts);
        if bytes > FREE_BYTES {
            after.ahead.clone_from(&before.ahead);
            after.take(bytes, None);
        }
        after.into()
    }
}

/// Counts an answer for as long as it waits.
struct Waiting<'a>(&'a Budget);

impl<'a> Waiting<'a> {
    fn begin(budget: &'a Budget) -> Self {
        budget.waiting.set(budget.waiting.get() + 1);
        Waiting(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
        // One that let others go first may have its turn.
        self.0.counts.room.notify_one();
    }
}

#[cfg(test)]
mod tests;
