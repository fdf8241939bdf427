//! Takes at most so many events per second, evenly, and a few more after a pause.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// The events of a tenth of a second may come at once.
const BURST: Duration = Duration::from_millis(100);

/// A rate of events. Refusing one costs a comparison.
#[derive(Debug)]
pub(super) struct Sampler {
    interval: Duration,
    /// The next event is taken from then on.
    next: Cell<Instant>,
}

impl Sampler {
    pub(super) fn new(per_second: usize) -> Self {
        let per_second = u32::try_from(per_second.max(1)).unwrap_or(u32::MAX);
        Sampler {
            interval: Duration::from_secs(1) / per_second,
            // As after a pause.
            next: Cell::new(burst_before(Instant::now())),
        }
    }

    /// Whether an event at `now` is taken.
    #[inline]
    pub(super) fn takes(&self, now: Instant) -> bool {
        let next = self.next.get();
        if now < next {
            return false;
        }
        // After a pause, `next` is so far behind that a burst is taken.
        self.next.set(next.max(burst_before(now)) + self.interval);
        true
    }
}

fn burst_before(now: Instant) -> Instant {
    now.checked_sub(BURST).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_has_its_share_and_a_pause_a_short_burst() {
        let sampler = Sampler::new(50);
        let mut taken = 0;
        for _ in 0..10_000 {
            advance(Duration::from_micros(100)).await;
            taken += usize::from(sampler.takes(Instant::now()));
        }
        assert!((50..=56).contains(&taken), "{taken}");
        advance(Duration::from_mins(1)).await;
        let burst = (0..100).filter(|_| sampler.takes(Instant::now()));
        assert_eq!(burst.count(), 6);
    }
}
