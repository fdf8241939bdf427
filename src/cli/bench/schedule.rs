//! Decides when the next call is due.
//!
//! Open loop: call number k is due k / rate after the beginning, whether or not a connection is free; so a slow server does
//! not slow the schedule down. Closed loop: a call is due when a connection asks for it.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// The calls of one run.
#[derive(Debug)]
pub(super) struct Schedule {
    begin: Instant,
    /// Calls that are due earlier belong to the warm-up.
    measured_from: Instant,
    /// No call is due from then on.
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

    /// When the run ends, if it is limited in time.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// When the next call is due, which may be in the past. `None` if there is none.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let due = match self.rate {
            None => now,
            Some(rate) => {
                let nanos = u128::from(self.given.get()) * 1_000_000_000 / u128::from(rate);
                self.begin + Duration::from_nanos(u64::try_from(nanos).ok()?)
            }
        };
        if self.end.is_some_and(|end| due >= end) {
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
        assert_eq!(schedule.next(at(begin, 500)), Some(at(begin, 10)));
        assert_eq!(schedule.next(at(begin, 500)), Some(at(begin, 20)));
        assert_eq!(schedule.next(at(begin, 500)), None);
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
