//! What time it is in a call.

use tokio::time::Instant;

use crate::timeline::Micros;

/// The clock, as of this pass or of what last took time in it: it is not read for each step.
pub(super) struct Clock {
    arrived: Instant,
    pub(super) now: Instant,
    /// How long after the call's arrival that is.
    pub(super) since: Micros,
    /// The last instant that was asked for, and how long after the call's arrival it is: answers that travelled
    /// together came at one.
    asked: (Instant, Micros),
    /// It was read for the first pass already.
    is_new: bool,
}

impl Clock {
    /// Of a call that came at `arrived`, and whose first pass begins.
    pub(super) fn new(arrived: Instant) -> Self {
        let mut clock = Clock {
            arrived,
            now: arrived,
            since: Micros::ZERO,
            asked: (arrived, Micros::ZERO),
            is_new: true,
        };
        clock.read();
        clock
    }

    /// Reads it for one more pass.
    pub(super) fn pass(&mut self) {
        if !std::mem::take(&mut self.is_new) {
            self.read();
        }
    }

    /// Reads it.
    pub(super) fn read(&mut self) {
        self.now = Instant::now();
        self.since = self.now.saturating_duration_since(self.arrived).into();
    }

    /// How long after the call's arrival `at` is.
    pub(super) fn since(&mut self, at: Instant) -> Micros {
        if at != self.asked.0 {
            let since = at.saturating_duration_since(self.arrived);
            self.asked = (at, since.into());
        }
        self.asked.1
    }
}
