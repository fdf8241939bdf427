//! Keeps the time within a call, reading the system clock as rarely as possible.

use tokio::time::Instant;

use crate::timeline::Micros;

/// The time of this pass, or of the last step in it that took time. The clock is not read for each step.
pub(super) struct Clock {
    arrived: Instant,
    pub(super) now: Instant,
    /// The time from the call's arrival to `now`.
    pub(super) elapsed: Micros,
    /// The last instant that [`Clock::micros_at`] converted, and its result: answers of one batch share an instant.
    converted: (Instant, Micros),
    /// The clock was read when the call began, so the first pass need not read it again.
    is_new: bool,
}

impl Clock {
    /// The clock of a call that arrived at `arrived` and whose first pass begins now.
    pub(super) fn new(arrived: Instant) -> Self {
        let mut clock = Clock {
            arrived,
            now: arrived,
            elapsed: Micros::ZERO,
            converted: (arrived, Micros::ZERO),
            is_new: true,
        };
        clock.read();
        clock
    }

    /// Reads the clock for another pass.
    pub(super) fn pass(&mut self) {
        if !std::mem::take(&mut self.is_new) {
            self.read();
        }
    }

    /// Reads the clock.
    pub(super) fn read(&mut self) {
        self.now = Instant::now();
        self.elapsed = self.now.saturating_duration_since(self.arrived).into();
    }

    /// The time from the call's arrival to `at`.
    pub(super) fn micros_at(&mut self, at: Instant) -> Micros {
        if at != self.converted.0 {
            let since = at.saturating_duration_since(self.arrived);
            self.converted = (at, since.into());
        }
        self.converted.1
    }
}
