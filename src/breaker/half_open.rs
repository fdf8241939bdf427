//! Lets the traffic come back in steps after a probe has succeeded: as many questions at a time as have succeeded since.
//!
//! Timeouts are known later than successes. So what closes a breaker is the outcomes of the first questions that it lets
//! through, and not the outcomes that are there first: each success that it needs has a place, and a question that has no outcome
//! yet keeps its place.

use std::time::Duration;

use tokio::time::Instant;

/// So many successes in a row are enough in any case.
const SUCCESSES_MAX: u32 = 20;
/// So many failures would be among them if the server were only just good enough to keep a closed breaker closed. With four,
/// such a server closes it about once in a hundred times.
const FAILURES_DUE: f64 = 4.0;
/// With less traffic than that, it closes after this time.
pub(super) const HALF_OPEN_MAX: Duration = Duration::from_secs(10);

/// What a half-open breaker has let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct HalfOpen {
    /// When the probe began. What began earlier says nothing new.
    pub(super) since: Instant,
    /// When it became half-open.
    at: Instant,
    /// When the last question was let through.
    asked: Instant,
    /// The probe, and each question since then.
    succeeded: u32,
    /// Questions without an outcome.
    in_flight: u32,
    /// So many successes close it.
    enough: u32,
}

impl HalfOpen {
    /// The outcome of the probe that began at `began` is known now, and not counted yet. So many successes are `enough`.
    pub(super) fn new(enough: u32, began: Instant, now: Instant) -> Self {
        HalfOpen {
            since: began,
            at: now,
            asked: now,
            succeeded: 0,
            in_flight: 1,
            enough,
        }
    }

    /// Whether a question is let through now. One is at the latest `every` so often: low traffic is never refused, and a place
    /// whose question never ends is not missed for long.
    pub(super) fn admits(&mut self, now: Instant, every: impl FnOnce() -> Duration) -> bool {
        let has_place =
            self.in_flight < self.succeeded && self.succeeded + self.in_flight < self.enough;
        let admits = has_place || now >= self.asked + every();
        if admits {
            self.asked = now;
            self.in_flight = self.in_flight.saturating_add(1);
        }
        admits
    }

    /// A question has succeeded. Returns whether that was enough.
    pub(super) fn succeeded(&mut self, now: Instant) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.succeeded += 1;
        self.succeeded >= self.enough || self.in_flight == 0 && now >= self.at + HALF_OPEN_MAX
    }

    /// Another question may have the place of one that began at `began`.
    pub(super) fn told_nothing(&mut self, began: Instant) {
        if began >= self.since {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }
}

/// How many successes in a row close it. The fewer successes are enough to keep it closed, the fewer: otherwise it would never
/// close in front of a server that fails as often as it may.
pub(super) fn enough(success_min: f64, calls_min: u32) -> u32 {
    let all = FAILURES_DUE / (1.0 - success_min);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive and small"
    )]
    let all = all.round().min(SUCCESSES_MAX.into()) as u32;
    all.min(calls_min).max(1)
}
