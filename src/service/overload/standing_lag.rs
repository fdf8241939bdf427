//! Tells for how long what arrives at a loop has to wait, if that has been so for a while.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::disturbance::Disturbance;

/// A shorter lag costs no call its time.
const SHORT: Duration = Duration::from_millis(5);

/// The kernel is not asked how much of a shorter time was the loop's own work: each call would pay for that.
const WORTH_ASKING: Duration = Duration::from_millis(20);

/// The lag that a loop has had at its last two beats, or has now.
///
/// A single long pause says nothing about what arrives after it. A loop with more work than it can do is late at each beat. And
/// hundreds of connections may bring more work in one turn of the loop than can be done in the time of their calls: then calls
/// arrive while a beat is overdue, for longer and longer.
#[derive(Debug, Default)]
pub(super) struct StandingLag {
    last: Cell<Duration>,
    standing: Cell<Duration>,
    /// When the next beat is late.
    late_from: Cell<Option<Instant>>,
    /// When a call first arrived while it was, and how long the loop had worked then.
    arrived_late: Cell<Option<(Instant, Duration)>>,
}

impl StandingLag {
    /// A beat of a loop came so late, and the next one is due at `next`. `is_busy`: since the one before, the loop has done
    /// nothing but work.
    pub(super) fn beat(&self, late: Duration, is_busy: bool, next: Instant) {
        let counts = is_busy && late >= SHORT;
        let late = if counts { late } else { Duration::ZERO };
        self.standing.set(late.min(self.last.replace(late)));
        self.late_from.set(Some(next + SHORT));
        self.arrived_late.set(None);
    }

    /// How long a call has to wait that arrives at `now`: the smaller one of the lags of the last two beats, or for how long
    /// calls have arrived since the next one is late. Zero if the loop has time left.
    #[inline]
    pub(super) fn get(&self, now: Instant, disturbance: &Disturbance) -> Duration {
        match self.late_from.get() {
            Some(late_from) if now > late_from => self.overdue(now, disturbance),
            _ => self.standing.get(),
        }
    }

    #[cold]
    fn overdue(&self, now: Instant, disturbance: &Disturbance) -> Duration {
        if self.arrived_late.get().is_none() {
            self.arrived_late.set(Some((now, disturbance.worked())));
        }
        self.standing.get().max(self.overdue_for(now, disturbance))
    }

    /// For how long calls have arrived while a beat is overdue because of the loop's own work.
    pub(super) fn overdue_for(&self, now: Instant, disturbance: &Disturbance) -> Duration {
        let Some((since, worked)) = self.arrived_late.get() else {
            return Duration::ZERO;
        };
        let overdue = now.saturating_duration_since(since);
        if overdue < WORTH_ASKING || disturbance.is_long() {
            return overdue;
        }
        overdue.min(disturbance.worked().saturating_sub(worked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    thread_local! {
        /// How long the loop has worked.
        static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    #[test]
    fn only_a_lag_of_two_beats_of_a_busy_loop_stands() {
        let (lag, now) = (StandingLag::default(), Instant::now());
        let undisturbed = Disturbance::default();
        let after = |late_ms, is_busy| {
            lag.beat(Duration::from_millis(late_ms), is_busy, now);
            lag.get(now, &undisturbed).as_millis()
        };
        assert_eq!(after(300, true), 0, "a single pause");
        assert_eq!(after(10, true), 10);
        assert_eq!(after(300, true), 10);
        assert_eq!(after(200, true), 200);
        assert_eq!(after(400, true), 200);
        assert_eq!(after(4, true), 0, "a short one");
        assert_eq!((after(400, true), after(400, true)), (0, 400));
        assert_eq!(after(400, false), 0, "it has time left");
        assert_eq!(after(400, true), 0);
    }

    #[test]
    fn calls_that_arrive_for_long_while_a_beat_is_overdue_are_late() {
        let (lag, due) = (StandingLag::default(), Instant::now());
        let works = Disturbance::with_clock(|| WORKED.get());
        let at = |overdue| {
            WORKED.set(overdue * MS);
            lag.get(due + overdue * MS, &works).as_millis()
        };
        assert_eq!(at(300), 0, "there was no beat yet");
        lag.beat(Duration::ZERO, false, due);
        assert_eq!((at(0), at(5)), (0, 0), "it is nearly in time");
        assert_eq!(at(300), 0, "a single pause");
        assert_eq!((at(310), at(500)), (10, 200), "no pause, but work");
        lag.beat(500 * MS, true, due);
        assert_eq!((at(0), at(10)), (0, 0));
        lag.beat(40 * MS, true, due);
        assert_eq!((at(0), at(10), at(100)), (40, 40, 90));
    }

    #[test]
    fn calls_that_arrive_while_other_processes_run_are_not_late() {
        let (lag, due) = (StandingLag::default(), Instant::now());
        let disturbed = Disturbance::with_clock(|| WORKED.get());
        let at = |overdue, worked| {
            WORKED.set(worked * MS);
            lag.get(due + overdue * MS, &disturbed).as_millis()
        };
        lag.beat(Duration::ZERO, false, due);
        assert_eq!(
            (at(10, 0), at(25, 1)),
            (0, 15),
            "for so little, it is not asked"
        );
        assert_eq!((at(210, 15), at(510, 40)), (15, 40));
        assert_eq!(lag.overdue_for(due + 510 * MS, &disturbed), 40 * MS);
    }
}
