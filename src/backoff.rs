//! Delays between attempts: exponential, with jitter from a seed.
//!
//! The jitter keeps what broke together from coming back together.

use std::time::Duration;

use crate::random::Random;

/// The delay after the first failed attempt, before jitter. It doubles from there.
const DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest delay before jitter.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(1);
/// A connection that is wanted is tried again after this long, however long the delay is, before jitter.
const WANTED_AFTER: Duration = Duration::from_millis(100);
/// How far a delay may differ from its nominal length, in thousandths of it.
const JITTER: u32 = 200;

/// The delays of one connection or task.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    random: Random,
}

impl Backoff {
    /// The same seed gives the same delays.
    pub(crate) fn seeded(seed: u64) -> Self {
        Backoff {
            next: DELAY_MIN,
            random: Random::seeded(seed),
        }
    }

    /// The delay before the next attempt; the one after it is about twice as long.
    pub(crate) fn delay(&mut self) -> Duration {
        let nominal = self.next;
        self.next = (nominal * 2).min(DELAY_MAX);
        self.jittered(nominal)
    }

    /// How much of `delay` has to pass before someone who wants the connection may have the next attempt made.
    pub(crate) fn wanted_after(&mut self, delay: Duration) -> Duration {
        self.jittered(WANTED_AFTER).min(delay)
    }

    /// Differs from `nominal` by at most a fifth.
    pub(crate) fn jittered(&mut self, nominal: Duration) -> Duration {
        let drawn = self.random.draw() % u64::from(2 * JITTER + 1);
        let jitter = u32::try_from(drawn).unwrap_or(JITTER);
        nominal * (1000 - JITTER + jitter) / 1000
    }

    /// Starts again from the shortest delay.
    pub(crate) fn reset(&mut self) {
        self.next = DELAY_MIN;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOMINAL: [u32; 7] = [50, 100, 200, 400, 800, 1000, 1000];

    fn delays(seed: u64) -> Vec<Duration> {
        let mut backoff = Backoff::seeded(seed);
        NOMINAL.map(|_| backoff.delay()).to_vec()
    }

    #[test]
    fn delays_of_one_seed_repeat_and_those_of_another_differ() {
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }

    #[test]
    fn a_reset_starts_from_the_shortest_delay() {
        let mut backoff = Backoff::seeded(1);
        for _ in 0..5 {
            backoff.delay();
        }
        backoff.reset();
        assert!(backoff.delay() <= Duration::from_millis(60));
    }

    proptest! {
        #[test]
        fn delays_double_to_a_second_within_a_fifth(seed: u64) {
            for (delay, nominal) in delays(seed).into_iter().zip(NOMINAL) {
                let nominal = Duration::from_millis(nominal.into());
                prop_assert!(delay >= nominal * 8 / 10 && delay <= nominal * 12 / 10, "{delay:?}");
            }
        }
    }
}
