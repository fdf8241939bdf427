//! Learns how long the statements of each lookup take, to keep quick ones from waiting behind slow ones.

use std::cell::RefCell;
use std::time::Duration;

/// Nothing below this is slow.
const SLOW_MIN: Duration = Duration::from_millis(10);
/// A lookup is slow if it takes this many times as long as the quickest one of its store.
const SLOW_TIMES: u32 = 4;
/// The weight of what is known against one more statement, as in TCP's smoothed round-trip time (RFC 6298).
const KNOWN: u32 = 7;

/// What is known about the statements of a lookup.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::backend) struct Usual {
    /// How long one takes: zero if that is not known.
    pub(in crate::backend) time: Duration,
    pub(in crate::backend) is_slow: bool,
}

/// The mean durations of the lookups of one store, by their numbers. A recent duration counts more than an old one.
#[derive(Debug, Default)]
pub(in crate::backend) struct Durations(RefCell<Vec<Option<Duration>>>);

impl Durations {
    /// A statement of this lookup took that long in the store, or longer.
    pub(in crate::backend) fn took(&self, lookup: usize, duration: Duration) {
        let mut means = self.0.borrow_mut();
        if lookup >= means.len() {
            means.resize(lookup + 1, None);
        }
        let mean = means[lookup].map_or(duration, |mean| (mean * KNOWN + duration) / (KNOWN + 1));
        means[lookup] = Some(mean);
    }

    /// What is known about the statements of this lookup.
    pub(in crate::backend) fn usual(&self, lookup: usize) -> Usual {
        let mean = self.0.borrow().get(lookup).copied().flatten();
        Usual {
            time: mean.unwrap_or_default(),
            is_slow: self.is_slow(lookup),
        }
    }

    /// Whether this lookup takes long, and much longer than others of its store.
    pub(in crate::backend) fn is_slow(&self, lookup: usize) -> bool {
        let means = self.0.borrow();
        let Some(Some(mean)) = means.get(lookup) else {
            return false;
        };
        let quickest = means.iter().flatten().min().unwrap_or(mean);
        *mean >= SLOW_MIN && *mean >= *quickest * SLOW_TIMES
    }
}

/// How long a statement may run before it counts as slow whatever its lookup usually takes.
pub(in crate::backend) fn is_long(running: Duration) -> bool {
    running >= SLOW_MIN
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
        assert!(!durations.is_slow(3), "nobody minds 5 ms");
        let usual = durations.usual(2);
        assert!(usual.is_slow && usual.time == ms(300));
        assert_eq!(durations.usual(9).time, ms(0), "nothing is known");
        for _ in 0..40 {
            durations.took(2, ms(1));
        }
        assert!(!durations.is_slow(2), "it has become quick");
    }
}
