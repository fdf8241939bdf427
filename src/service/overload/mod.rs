//! Decides which calls a loop refuses because it has more work than it can do.
//!
//! In: the beats of the loop. Out: whether a call that arrives is refused, and how long its connection is not read after that.
//! A call is refused if it would be answered too late ([`StandingLag`]), or if it is not in the share that keeps the rounds of
//! the loop short ([`AdmittedShare`]). What stores can't do is not decided here, but by the guards.

mod disturbance; // by other processes
mod standing_lag; // how long what arrives has to wait
mod admitted_share; // of calls
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Beat;
use admitted_share::AdmittedShare;
use disturbance::Disturbance;
use standing_lag::StandingLag;

/// How long a connection rests after some of its calls were refused: such a part of a call's time, and no longer than
/// [`REST_MAX`]. What arrives meanwhile is read, and refused, at once: for a single message, reading, waking up and writing cost
/// ten times as much as refusing it.
const REST_PART: u32 = 8;
const REST_MAX: Duration = Duration::from_millis(60);
/// Refusals between two beats of the loop, which take about a quarter of that time. If a thousand connections bring a thousand
/// calls each, a round in which each of them has some refused would take longer than the admitted calls have time.
const REFUSALS_MAX: u32 = 4000;

/// Whether one loop has more work than it can do.
#[derive(Debug, Default)]
pub struct Overload {
    disturbance: Disturbance,
    lag: StandingLag,
    share: AdmittedShare,
    /// Since the last beat.
    refusals: Cell<u32>,
}

impl Overload {
    /// The loop beats.
    pub fn beat(&self, beat: &Beat) {
        self.refusals.set(0);
        let late = self.disturbance.own_lag(beat);
        self.lag.beat(late, beat.is_busy, beat.next);
        let busy = (beat.is_busy, beat.busy);
        self.share.beat(late, busy, beat.elapsed);
    }

    /// Whether some calls are refused because the rounds of the loop have become long.
    #[inline]
    pub fn is_limiting(&self) -> bool {
        self.share.is_limiting()
    }

    /// How long a call has to wait that arrives at `now`; zero if the loop has time left.
    #[inline]
    pub(super) fn lag(&self, now: Instant) -> Duration {
        self.lag.get(now, &self.disturbance)
    }

    /// Whether a call that arrives at `now` is in the share that is admitted. `is_first`: its connection has no other call
    /// under way.
    pub(super) fn admits(&self, now: Instant, is_first: bool) -> bool {
        let overdue_for = self.lag.overdue_for(now, &self.disturbance);
        self.share.overdue(overdue_for);
        self.share.admits(is_first)
    }

    /// A call was refused that may take so long. Returns how long its connection rests. `None`: it does not.
    pub(super) fn refused(&self, time: Duration) -> Option<Duration> {
        self.refusals.set(self.refusals.get().saturating_add(1));
        self.is_limiting().then(|| (time / REST_PART).min(REST_MAX))
    }

    /// Whether so many calls were refused since the last beat that resting connections wait, whatever has arrived.
    pub fn has_refused_many(&self) -> bool {
        self.refusals.get() >= REFUSALS_MAX
    }
}
