//! Counts outcomes of the last while, in slots of equal length that are forgotten one after the other.

use std::time::Duration;

use tokio::time::Instant;

/// Into how many slots the window is divided.
const SLOTS: usize = 10;

/// The outcomes of the last while.
#[derive(Debug)]
pub(super) struct Window {
    /// The length of a slot in nanoseconds.
    slot: u64,
    /// When the first slot ever began; the others follow without gaps.
    start: Option<Instant>,
    /// The number of the newest slot since the start.
    newest: u64,
    /// When that slot ends. Nearly all outcomes come before, and cost no arithmetic.
    ends: Option<Instant>,
    /// By the number of the slot modulo [`SLOTS`].
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    succeeded: u32,
    failed: u32,
}

impl Window {
    /// An empty window of this length.
    pub(super) fn new(length: Duration) -> Self {
        Window {
            slot: nanos(length / 10).max(1),
            start: None,
            newest: 0,
            ends: None,
            slots: Default::default(),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.start = None;
        self.newest = 0;
        self.ends = None;
        self.slots = Default::default();
    }

    /// Adds an outcome.
    pub(super) fn add(&mut self, now: Instant, succeeded: bool) {
        let slot = self.advance(now);
        let count = if succeeded {
            &mut slot.succeeded
        } else {
            &mut slot.failed
        };
        *count = count.saturating_add(1);
    }

    /// How many outcomes of the window are successes, and how many failures.
    pub(super) fn counts(&mut self, now: Instant) -> (u32, u32) {
        self.advance(now);
        let add = |(succeeded, failed): (u32, u32), slot: &Slot| {
            let succeeded = succeeded.saturating_add(slot.succeeded);
            (succeeded, failed.saturating_add(slot.failed))
        };
        self.slots.iter().fold((0, 0), add)
    }

    /// The slot of `now`, after the slots that are too old are forgotten.
    #[inline]
    fn advance(&mut self, now: Instant) -> &mut Slot {
        if self.ends.is_none_or(|ends| now >= ends) {
            self.begin_slot(now);
        }
        &mut self.slots[at(self.newest)]
    }

    #[cold]
    fn begin_slot(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let number = nanos(now.saturating_duration_since(start)) / self.slot;
        let passed = number.saturating_sub(self.newest).min(SLOTS as u64);
        for old in 0..passed {
            self.slots[at(number - old)] = Slot::default();
        }
        self.newest = self.newest.max(number);
        let ends = (self.newest + 1).saturating_mul(self.slot);
        self.ends = start.checked_add(Duration::from_nanos(ends));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn at(number: u64) -> usize {
    usize::try_from(number % SLOTS as u64).unwrap_or(0)
}
