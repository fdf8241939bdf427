//! Decides which calls a loop refuses because it has more work than it can do.
//!
//! In: the beats of the loop. Out: whether a call that arrives is refused, and how long its connection is not read after that.
//! A call is refused if it would be answered too late, by how late the loop is ([`StandingLag`]) or by what it has taken on
//! ([`Backlog`]), or if it is not in the share that keeps the rounds of the loop short ([`AdmittedShare`]). What stores can't do is not decided here, but by the guards.

mod disturbance; // by other processes
mod standing_lag; // how long what arrives has to wait
mod backlog; // of calls that were admitted
mod admitted_share; // of calls
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Beat;
use admitted_share::{AdmittedShare, REFUSAL};
use backlog::Backlog;
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
    backlog: Backlog,
    /// A call was refused since the last beat because of the backlog.
    is_full: Cell<bool>,
    /// Since the last beat.
    refusals: Cell<u32>,
}

impl Overload {
    /// The loop beats.
    pub fn beat(&self, beat: &Beat) {
        let refused = self.refusals.replace(0);
        self.is_full.set(false);
        let late = self.disturbance.own_lag(beat);
        self.lag.beat(late, beat.is_busy, beat.next);
        let busy = (beat.is_busy, beat.busy);
        self.share.beat(late, busy, beat.elapsed);
        let refusing = REFUSAL * refused;
        self.backlog.beat(beat, (late, refusing), Instant::now());
    }

    /// A call begins that arrived at `now`.
    #[inline]
    pub(super) fn begins(&self, now: Instant) {
        self.backlog.begins(now);
    }

    /// Whether a call that arrives at `now` may be one of those that are refused.
    #[inline]
    pub(super) fn may_refuse(&self, now: Instant) -> bool {
        self.is_limiting() || self.backlog.is_large(now)
    }

    /// Whether the calls that were admitted may take so much of the `time` of a call that arrives at `now` that it should not be
    /// admitted, too. `is_first`: its connection has no other call under way.
    pub(super) fn is_full(&self, now: Instant, time: Duration, is_first: bool) -> bool {
        let most = if is_first { time / 4 * 3 } else { time / 2 };
        let is_full = self.backlog.get(now) > most;
        self.is_full.set(self.is_full.get() || is_full);
        is_full
    }

    /// Whether some calls are refused because the loop has more work than it can do.
    #[inline]
    pub fn is_limiting(&self) -> bool {
        self.share.is_limiting() || self.is_full.get()
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
