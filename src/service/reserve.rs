//! Keeps a part of the caller's time for what comes after the lookups, so that a partial reply leaves before the caller gives up.
//!
//! After the last lookup, the values are merged and the reply is written. How long that takes depends on the view and on the
//! load of the loop, so it is measured: the reserve follows slow replies at once and forgets them slowly.

use std::cell::Cell;
use std::time::Duration;

/// The timer that ends lookups fires up to a millisecond late.
const LEAST: Duration = Duration::from_millis(2);
/// The largest part of the caller's time that is kept.
const SHARE: u32 = 4;
/// How many replies it takes to forget about two thirds of a slow one.
const MEMORY: u32 = 128;

/// The reserve of each view of one loop.
#[derive(Debug)]
pub(super) struct Reserves(Vec<Cell<Duration>>);

impl Reserves {
    /// For so many views.
    pub(super) fn new(views: usize) -> Self {
        Reserves(vec![Cell::default(); views])
    }

    /// The view at that index took so long from its last lookup to its reply.
    #[inline]
    pub(super) fn observe(&self, view: usize, took: Duration) {
        let slow = &self.0[view];
        let known = slow.get();
        slow.set(match known.checked_sub(took) {
            Some(less) => known.saturating_sub(less / MEMORY),
            None => took,
        });
    }

    /// How much of a caller's `budget` is kept for the reply of that view.
    pub(super) fn of(&self, view: usize, budget: Duration) -> Duration {
        (self.0[view].get() * 2).max(LEAST).min(budget / SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_reserve_follows_slow_replies_and_forgets_them_slowly() {
        let ms = Duration::from_millis;
        let reserves = Reserves::new(2);
        assert_eq!(reserves.of(0, SECOND), LEAST);
        reserves.observe(0, ms(10));
        assert_eq!(reserves.of(0, SECOND), ms(20));
        assert_eq!(reserves.of(1, SECOND), LEAST, "another view");
        for _ in 0..MEMORY {
            reserves.observe(0, Duration::ZERO);
        }
        let rest = reserves.of(0, SECOND);
        assert!(ms(7) < rest && rest < ms(8), "{rest:?}");
        for _ in 0..10 * MEMORY {
            reserves.observe(0, Duration::ZERO);
        }
        assert_eq!(reserves.of(0, SECOND), LEAST);
    }

    #[test]
    fn three_quarters_of_the_time_are_always_for_the_lookups() {
        let reserves = Reserves::new(1);
        reserves.observe(0, SECOND);
        for budget in [Duration::ZERO, Duration::from_millis(1), SECOND] {
            assert_eq!(reserves.of(0, budget), budget / 4);
        }
    }
}
