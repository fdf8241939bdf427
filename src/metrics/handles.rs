//! The handles by which a loop counts: each is the only writer of its numbers, so counting is a plain load and store.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One number per slot: a count per label value, or a count per bucket followed by the sum.
pub(super) type Slots = Arc<[AtomicU64]>;

/// A handle on counts: one per label value, or a single one. It stays on its loop, the only writer.
#[derive(Clone, Debug)]
pub struct Counts(Slots, OneThread);

/// A handle on a number that goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(Slots, OneThread);

/// A handle on a histogram.
#[derive(Clone, Debug)]
pub struct Histogram(Slots, &'static [u64], OneThread);

/// Makes a handle neither `Send` nor `Sync`.
type OneThread = PhantomData<Rc<()>>;

/// With one writer, nothing is lost between the load and the store.
fn bump(slot: &AtomicU64, by: u64) {
    let now = slot.load(Ordering::Relaxed);
    slot.store(now.wrapping_add(by), Ordering::Relaxed);
}

impl Counts {
    /// Counts in these slots.
    pub(super) fn new(slots: Slots) -> Self {
        Counts(slots, PhantomData)
    }

    /// Adds one to the count at `at`.
    pub fn count(&self, at: usize) {
        self.add(at, 1);
    }

    /// Adds one to the count of a metric without a choice of label values.
    pub fn count_one(&self) {
        self.count(0);
    }

    /// Adds a duration to a metric that counts time.
    pub fn add_time(&self, time: Duration) {
        bump(&self.0[0], nanoseconds(time));
    }

    /// Adds `by` to the count at `at`.
    pub fn add(&self, at: usize, by: usize) {
        bump(&self.0[at], by as u64);
    }
}

#[cfg(test)]
impl Counts {
    /// The count at `at`.
    pub(crate) fn get(&self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// A number in the first of these slots.
    pub(super) fn new(slots: Slots) -> Self {
        Gauge(slots, PhantomData)
    }

    /// Sets the number.
    pub fn set(&self, now: usize) {
        self.0[0].store(now as u64, Ordering::Relaxed);
    }

    /// The number.
    #[expect(clippy::cast_possible_truncation, reason = "a `usize` was set")]
    pub fn get(&self) -> usize {
        self.0[0].load(Ordering::Relaxed) as usize
    }

    /// Adds one.
    pub fn up(&self) {
        bump(&self.0[0], 1);
    }

    /// Subtracts one.
    pub fn down(&self) {
        bump(&self.0[0], 1_u64.wrapping_neg());
    }

    /// Adds `by`.
    pub fn more(&self, by: usize) {
        bump(&self.0[0], by as u64);
    }

    /// Subtracts `by`.
    pub fn less(&self, by: usize) {
        bump(&self.0[0], (by as u64).wrapping_neg());
    }

    /// Sets a duration.
    pub fn set_time(&self, time: Duration) {
        self.0[0].store(nanoseconds(time), Ordering::Relaxed);
    }
}

impl Histogram {
    /// Values in these slots: one per bound, one beyond them, and the sum.
    pub(super) fn new(slots: Slots, bounds: &'static [u64]) -> Self {
        Histogram(slots, bounds, PhantomData)
    }

    /// Records a value.
    pub fn observe(&self, value: u64) {
        self.observe_in(self.bucket_of(value), value);
    }

    /// Records a value whose bucket is known.
    #[inline]
    pub fn observe_in(&self, bucket: usize, value: u64) {
        bump(&self.0[bucket], 1);
        bump(&self.0[self.1.len() + 1], value);
    }

    /// The bucket of a value.
    pub fn bucket_of(&self, value: u64) -> usize {
        self.1.partition_point(|bound| *bound < value)
    }

    /// Records a duration.
    pub fn observe_time(&self, time: Duration) {
        self.observe(nanoseconds(time));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
