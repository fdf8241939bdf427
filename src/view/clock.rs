//! What time it is in a call.

use std::time::Duration;

use tokio::time::Instant;

/// The clock, as of this pass or of what last took time in it: it is not read for each step.
pub(super) struct Clock {
    arrived: Instant,
    pub(super) now: Instant,
    /// How long after the call's arrival that is.
    pub(super) since: Duration,
    /// The last instant that was asked for, and how long after the call's arrival it is: answers that travelled
    /// together came at one.
    asked: (Instant, Duration),
}

impl Clock {
    /// Of a call that came at `arrived`.
    pub(super) fn new(arrived: Instant) -> Self {
        let mut clock = Clock {
            arrived,
            now: arrived,
            since: Duration::ZERO,
            asked: (arrived, Duration::ZERO),
        };
        clock.read();
        clock
    }

    /// Reads it.
    pub(super) fn read(&mut self) {
        self.now = Instant::now();
        self.since = self.now.saturating_duration_since(self.arrived);
    }

    /// How long after the call's arrival `at` is.
    pub(super) fn since(&mut self, at: Instant) -> Duration {
        if at != self.asked.0 {
            self.asked = (at, at.saturating_duration_since(self.arrived));
        }
        self.asked.1
    }
}
