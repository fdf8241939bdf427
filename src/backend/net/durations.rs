//! Learns how long the statements of each lookup take, to keep quick ones from waiting behind slow ones.

use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Nothing below this is slow.
const SLOW_MIN: Duration = Duration::from_millis(10);
/// A lookup is slow if it takes this many times as long as the quickest one of its store.
const SLOW_TIMES: u32 = 4;
/// The weight of what is known against one more statement, as in TCP's smoothed round-trip time (RFC 6298).
const KNOWN: u32 = 7;
/// How fast the shortest time follows a store that has become more distant: by this part of the difference per answer.
const FARTHER: u32 = 1024;

/// How long the statements of a lookup usually take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Usual {
    Quick,
    Slow,
    /// None has ended yet.
    Unknown,
}

/// The mean durations of the lookups of one store, by their numbers. A recent duration counts more than an old one.
#[derive(Debug, Default)]
pub(in crate::backend) struct Durations {
    means: RefCell<Vec<Option<Duration>>>,
    /// The shortest time from a question to its answer: to a distant store, nothing takes less.
    shortest: Cell<Option<Duration>>,
}

impl Durations {
    /// A statement of this lookup took that long in the store.
    pub(in crate::backend) fn took(&self, lookup: usize, duration: Duration) {
        let mut means = self.means.borrow_mut();
        if lookup >= means.len() {
            means.resize(lookup + 1, None);
        }
        let mean = means[lookup].map_or(duration, |mean| (mean * KNOWN + duration) / (KNOWN + 1));
        means[lookup] = Some(mean);
    }

    /// A statement of this lookup had taken that long when it was given up. It would have taken longer, so this says nothing
    /// about a lookup that usually does.
    pub(in crate::backend) fn took_at_least(&self, lookup: usize, duration: Duration) {
        if self.mean(lookup).is_none_or(|mean| mean < duration) {
            self.took(lookup, duration);
        }
    }

    /// An answer came that long after its question was sent.
    pub(in crate::backend) fn answered_after(&self, whole: Duration) {
        let shortest = self.shortest.get().unwrap_or(whole);
        let shortest = match whole.checked_sub(shortest) {
            Some(longer) => shortest + longer / FARTHER,
            None => whole,
        };
        self.shortest.set(Some(shortest));
    }

    /// What is known about the statements of this lookup.
    pub(in crate::backend) fn usual(&self, lookup: usize) -> Usual {
        match self.mean(lookup) {
            None => Usual::Unknown,
            Some(_) if self.is_slow(lookup) => Usual::Slow,
            Some(_) => Usual::Quick,
        }
    }

    /// Whether this lookup takes long, and much longer than others of its store.
    pub(in crate::backend) fn is_slow(&self, lookup: usize) -> bool {
        let Some(mean) = self.mean(lookup) else {
            return false;
        };
        if !self.is_long(mean) {
            return false;
        }
        let means = self.means.borrow();
        let quickest = means.iter().flatten().min().copied().unwrap_or(mean);
        mean >= quickest * SLOW_TIMES
    }

    /// Whether a statement that has been running for this long is slow, whatever its lookup usually takes.
    pub(in crate::backend) fn is_long(&self, running: Duration) -> bool {
        running >= SLOW_MIN + self.shortest.get().unwrap_or_default()
    }

    fn mean(&self, lookup: usize) -> Option<Duration> {
        self.means.borrow().get(lookup).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_what_takes_much_longer_than_others() {
        let ms = Duration::from_millis;
        let durations = Durations::default();
        assert!(!durations.is_slow(2));
        durations.took(2, ms(300));
        assert!(!durations.is_slow(2), "nothing is quicker");
        durations.took(0, ms(100));
        assert!(!durations.is_slow(2), "three times is not much longer");
        durations.took(1, ms(1));
        assert!(durations.is_slow(2) && durations.is_slow(0) && !durations.is_slow(1));
        durations.took(3, ms(5));
        assert!(!durations.is_slow(3), "5 ms are not slow");
        assert_eq!(durations.usual(2), Usual::Slow);
        assert_eq!(durations.usual(1), Usual::Quick);
        assert_eq!(durations.usual(9), Usual::Unknown);
        for _ in 0..40 {
            durations.took(2, ms(1));
        }
        assert!(!durations.is_slow(2), "it has become quick");
    }

    #[test]
    fn what_is_given_up_early_is_not_quick() {
        let ms = Duration::from_millis;
        let durations = Durations::default();
        durations.took(0, ms(1));
        durations.took_at_least(1, ms(50));
        for _ in 0..100 {
            durations.took_at_least(1, ms(2));
        }
        assert_eq!(durations.usual(1), Usual::Slow);
    }

    #[test]
    fn distance_is_not_slowness() {
        let ms = Duration::from_millis;
        let durations = Durations::default();
        durations.answered_after(ms(50));
        durations.took(0, ms(1));
        durations.took(1, ms(50));
        assert!(!durations.is_slow(1), "it was sent alone");
        assert!(!durations.is_long(ms(59)) && durations.is_long(ms(60)));
        durations.took(2, ms(70));
        assert!(durations.is_slow(2));
        durations.answered_after(ms(1));
        assert!(durations.is_slow(1) && durations.is_long(ms(11)));
        for _ in 0..10_000 {
            durations.answered_after(ms(50));
        }
        assert!(!durations.is_slow(1), "the store is distant now");
    }
}
