//! Foresees until when the calls that were admitted keep a loop busy.
//!
//! A burst may bring thousands of calls in a single turn of the loop, before any beat shows that it is late. So each call is
//! expected to take as long as calls have taken lately. While the loop has time left, what is expected is done before more
//! arrives, whatever is assumed of a call.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Beat;

/// What a call is expected to take before that is known. A page of seven lookups takes 15 us on a fast machine, 50 us on a slow
/// one.
const UNKNOWN: Duration = Duration::from_micros(50);
/// No call is expected to take longer: then a few heavy calls do not speak for many light ones.
const LONGEST: Duration = Duration::from_micros(60);
/// So many calls between two beats tell what one takes. With fewer of them, other work of the loop would count as theirs.
const CALLS_MIN: u32 = 256;
/// How much a beat tells, against those before it.
const WEIGHT: u32 = 4;
/// Less work than this is never too much, and costs nobody a look at the clock.
const LITTLE: Duration = Duration::from_millis(10);

/// The work that a loop has taken on.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// What a call takes, if it is known.
    per_call: Cell<Option<Duration>>,
    /// Calls that began since the last beat.
    calls: Cell<u32>,
    /// When all of them are expected to be done.
    done: Cell<Option<Instant>>,
}

impl Backlog {
    /// A call begins that arrived at `now`.
    #[inline]
    pub(super) fn begins(&self, now: Instant) {
        self.calls.set(self.calls.get() + 1);
        let from = self.done.get().map_or(now, |done| done.max(now));
        self.done
            .set(Some(from + self.per_call.get().unwrap_or(UNKNOWN)));
    }

    /// For how long the loop is expected to be busy from `now` on.
    #[inline]
    pub(super) fn get(&self, now: Instant) -> Duration {
        let done = self.done.get();
        done.map_or(Duration::ZERO, |done| done.saturating_duration_since(now))
    }

    /// Whether it is so much that it may be too much for a call.
    #[inline]
    pub(super) fn is_large(&self, now: Instant) -> bool {
        self.get(now) > LITTLE
    }

    /// A beat of the loop came so `late`, at `now`. What takes longer than the rounds of the loop are long was expected in error.
    /// Since the last beat, refusals took the time `refusing`.
    pub(super) fn beat(&self, beat: &Beat, (late, refusing): (Duration, Duration), now: Instant) {
        let calls = self.calls.replace(0);
        if calls >= CALLS_MIN {
            let worked = beat.elapsed.mul_f64(beat.busy.clamp(0.0, 1.0));
            let each = (worked.saturating_sub(refusing) / calls).min(LONGEST);
            let known = self.per_call.get().unwrap_or(each);
            let each = (known * (WEIGHT - 1) + each) / WEIGHT;
            self.per_call.set(Some(each));
        }
        let left = self.get(now).min(late);
        self.done.set(Some(now + left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A beat after 50 ms of which the loop has worked for so many.
    fn beat(worked_ms: u32) -> Beat {
        Beat {
            late: Duration::ZERO,
            elapsed: 50 * MS,
            busy: f64::from(worked_ms) / 50.0,
            is_busy: worked_ms >= 45,
            kept_waiting: Duration::ZERO,
            next: Instant::now(),
        }
    }

    fn begin(backlog: &Backlog, calls: u32, now: Instant) -> Duration {
        (0..calls).for_each(|_| backlog.begins(now));
        backlog.get(now)
    }

    #[test]
    fn a_burst_is_expected_to_take_what_calls_have_taken() {
        let (backlog, now) = (Backlog::default(), Instant::now());
        let after = |calls, worked_ms, refusing| {
            let expected = begin(&backlog, calls, now);
            backlog.beat(&beat(worked_ms), (Duration::ZERO, refusing), now);
            assert_eq!(backlog.get(now), Duration::ZERO, "they are done");
            expected
        };
        let none = Duration::ZERO;
        assert_eq!(after(1000, 15, none), 50 * MS, "it is not known yet");
        assert_eq!(after(1000, 15, none), 15 * MS);
        // Few calls tell nothing, and a part of the time was spent on refusals.
        for (calls, worked_ms, refusing) in [(255, 50, none), (0, 50, none), (1000, 45, 30 * MS)] {
            after(calls, worked_ms, refusing);
        }
        assert_eq!(after(1000, 15, none), 15 * MS);
        // Heavy calls are not expected to be heavier than this.
        for _ in 0..40 {
            after(300, 50, none);
        }
        let heavy = after(1000, 15, none);
        assert!((59 * MS..=60 * MS).contains(&heavy), "{heavy:?}");
    }

    #[test]
    fn what_arrives_over_time_is_done_over_time() {
        let (backlog, begun) = (Backlog::default(), Instant::now());
        // 10,000 a second, of 50 us.
        let mut now = begun;
        for _ in 0..1000 {
            backlog.begins(now);
            assert!(!backlog.is_large(now));
            now += Duration::from_micros(100);
        }
        // 100,000 a second.
        for _ in 0..1000 {
            backlog.begins(now);
            now += Duration::from_micros(10);
        }
        assert_eq!(backlog.get(now), 40 * MS);
        assert!(backlog.is_large(now));
        assert_eq!(backlog.get(now + 30 * MS), 10 * MS);
        // The loop was as late as that.
        backlog.beat(&beat(50), (25 * MS, Duration::ZERO), now);
        assert_eq!(backlog.get(now), 25 * MS);
        backlog.beat(&beat(50), (MS, Duration::ZERO), now);
        assert_eq!(backlog.get(now), MS);
    }
}
