//! Decides when the next call is due.
//!
//! Open loop: call number k is due k / rate after the beginning, whether or not a connection is free; so a slow server does
//! not slow the schedule down. Closed loop: a call is due when a connection asks for it.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::tally::Of;

/// The calls of one run.
#[derive(Debug)]
pub(super) struct Schedule {
    begin: Instant,
    /// Calls that are due earlier belong to the warm-up.
    measured_from: Instant,
    /// No call is due, or sent, from then on.
    end: Option<Instant>,
    /// Calls per second; `None` is a closed loop.
    rate: Option<u32>,
    /// The limit of calls after the warm-up.
    measured_max: Option<u64>,
    given: Cell<u64>,
    measured: Cell<u64>,
}

impl Schedule {
    /// A closed loop without an end.
    pub(super) fn new(begin: Instant, measured_from: Instant) -> Self {
        Schedule {
            begin,
            measured_from,
            end: None,
            rate: None,
            measured_max: None,
            given: Cell::new(0),
            measured: Cell::new(0),
        }
    }

    /// Ends at an instant.
    pub(super) fn until(self, end: Option<Instant>) -> Self {
        Schedule { end, ..self }
    }

    /// An open loop with that many calls per second.
    pub(super) fn at_rate(self, rate: Option<u32>) -> Self {
        Schedule { rate, ..self }
    }

    /// Ends after that many measured calls.
    pub(super) fn limit(self, measured_max: Option<u64>) -> Self {
        Schedule {
            measured_max,
            ..self
        }
    }

    /// When the warm-up ends.
    pub(super) fn measured_from(&self) -> Instant {
        self.measured_from
    }

    /// Which part of the run a call belongs to.
    pub(super) fn part(&self, due: Instant) -> Of {
        if due < self.measured_from {
            Of::WarmUp
        } else {
            Of::Measurement
        }
    }

    /// When the run ends, if it is limited in time.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// When the next call is due, which may be in the past. `None` if there is none.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let due = match self.rate {
            None => now,
            Some(rate) => self.due(self.given.get(), rate)?,
        };
        if self.end.is_some_and(|end| due.max(now) >= end) {
            return None;
        }
        if due >= self.measured_from {
            let measured = self.measured.get();
            if self.measured_max.is_some_and(|max| measured >= max) {
                return None;
            }
            self.measured.set(measured + 1);
        }
        self.given.set(self.given.get() + 1);
        Some(due)
    }

    /// How many measured calls of an open loop were due before its end and not given out by then: no connection was free.
    pub(super) fn missed(&self) -> u64 {
        let (Some(end), Some(rate)) = (self.end, self.rate) else {
            return 0;
        };
        let room = self
            .measured_max
            .map_or(u64::MAX, |max| max.saturating_sub(self.measured.get()));
        let due = |of: Instant| {
            let nanos = of.saturating_duration_since(self.begin).as_nanos();
            let calls = (nanos * u128::from(rate)).div_ceil(1_000_000_000);
            u64::try_from(calls).unwrap_or(u64::MAX)
        };
        let given = self.given.get().max(due(self.measured_from));
        due(end).saturating_sub(given).min(room)
    }

    /// When the call of that number is due in an open loop.
    fn due(&self, number: u64, rate: u32) -> Option<Instant> {
        let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate);
        Some(self.begin + Duration::from_nanos(u64::try_from(nanos).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begin: Instant, ms: u64) -> Instant {
        begin + Duration::from_millis(ms)
    }

    #[test]
    fn an_open_loop_keeps_its_schedule_whenever_it_is_asked() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, begin)
            .at_rate(Some(100))
            .until(Some(at(begin, 30)));
        assert_eq!(schedule.next(begin), Some(begin));
        // Late, but the call was due at 10 ms.
        assert_eq!(schedule.next(at(begin, 29)), Some(at(begin, 10)));
        assert_eq!(schedule.next(at(begin, 29)), Some(at(begin, 20)));
        assert_eq!(schedule.next(at(begin, 29)), None);
        assert_eq!(schedule.missed(), 0);
    }

    #[test]
    fn an_open_loop_whose_connections_are_busy_ends_in_time_and_counts_what_it_missed() {
        let begin = Instant::now();
        let schedule = || {
            let schedule = Schedule::new(begin, at(begin, 50)).at_rate(Some(100));
            schedule.until(Some(at(begin, 100)))
        };
        let busy = schedule();
        assert_eq!(busy.missed(), 5, "those of the warm-up do not count");
        for call in 0..7 {
            assert_eq!(busy.next(at(begin, 99)), Some(at(begin, call * 10)));
        }
        assert_eq!(busy.next(at(begin, 100)), None, "it is over");
        assert_eq!(busy.missed(), 3);
        assert_eq!(schedule().limit(Some(2)).missed(), 2);
        let closed = Schedule::new(begin, begin).until(Some(at(begin, 100)));
        assert_eq!(closed.missed(), 0);
    }

    #[test]
    fn a_closed_loop_is_due_when_asked_and_ends_in_time() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, begin).until(Some(at(begin, 30)));
        assert_eq!(schedule.next(at(begin, 29)), Some(at(begin, 29)));
        assert_eq!(schedule.next(at(begin, 30)), None);
    }

    #[test]
    fn only_calls_after_the_warm_up_count_towards_the_limit() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, at(begin, 10)).limit(Some(2));
        for _ in 0..5 {
            assert!(schedule.next(begin).is_some());
        }
        assert!(schedule.next(at(begin, 10)).is_some());
        assert!(schedule.next(at(begin, 11)).is_some());
        assert_eq!(schedule.next(at(begin, 12)), None);
    }
}
