//! Decides what share of the calls that arrive at a loop it admits, so that its rounds stay short.
//!
//! In: how late each beat of the loop is, which is how long a round takes: once around all tasks that are ready. Out: whether
//! the next call is admitted. While the loop has time left, that is every call.
//!
//! The calls that can't be served wait in the sockets, so a round grows by what arrives beyond the capacity: it is the sum of
//! all past overload. A share that only followed the length of the round would swing, and one that followed a call's waiting
//! time would learn of an overload when it is too late. So each beat asks how much work came since the last one, as a part of
//! the time: what the loop did of it, and by how much the round has grown. The share changes by half of what that is above or
//! below all of the time, since the work of calls that wait for stores comes later than their admission, by one or two beats, and
//! would make a faster share swing. In addition, the round is brought back to [`ROUND`] within some beats: while a little work
//! always waits, none of the time is lost.

use std::cell::Cell;
use std::time::Duration;

/// Two rounds of this length in a row are an overload. As many calls as one round takes can all be served in time, so some hundred
/// callers with one call each at a time are none.
const LONG: Duration = Duration::from_millis(50);
/// How long a round is meant to take under overload: short beside a deadline, and so short that the calls of one round fit into
/// the processor's cache. With all calls of 50 ms under way at a time, each costs half as much again.
const ROUND: Duration = Duration::from_millis(10);
/// Calls that arrive for so long while a beat is overdue are an overload, too.
const OVERDUE: Duration = Duration::from_millis(100);
/// The share is halved again after so much more of it.
const OVERDUE_STEP: Duration = Duration::from_millis(25);
/// By which part of the work that came beyond all of the time, or was lacking to it, the share changes at a beat.
const GAIN: f64 = 0.5;
/// Within this time the round is brought back to [`ROUND`].
const BACK_WITHIN: Duration = Duration::from_millis(250);
/// The share changes by no more than that at a beat, by logarithms, so that one strange beat does not matter much. With much time
/// left it may grow faster, so that it is whole within a second.
const STEP_BOUNDS: (f64, f64) = (-0.25, 0.15);
const STEP_IF_IDLE: f64 = 0.25;
/// A loop that works for a smaller part of the time has much left.
const IDLE: f64 = 0.8;
/// The least share. It is in proportion to what a refusal costs, about a thirtieth of a call: then half of the time serves
/// calls, however many arrive.
const LEAST: f64 = 0.02;
/// About what a refusal costs. Where refusals already take half of the time, more of them would leave less for calls.
const REFUSAL: Duration = Duration::from_nanos(2500);
/// A call of a connection without another one is admitted with so many times the share: a client that sends little beside
/// many that send much keeps its calls.
const FIRST: f64 = 4.0;

/// The share of calls that a loop admits.
#[derive(Debug)]
pub(super) struct AdmittedShare {
    share: Cell<f64>,
    /// Which part of a call is saved up. Errors are carried on, so that all connections are treated alike, whatever their order.
    saved: Cell<f64>,
    /// Calls that were refused since the last beat.
    refused: Cell<u32>,
    /// The length of the last round.
    late: Cell<Duration>,
    /// How often the share was halved since the last beat.
    halved: Cell<u32>,
}

impl Default for AdmittedShare {
    fn default() -> Self {
        AdmittedShare {
            share: Cell::new(1.0),
            saved: Cell::new(0.0),
            refused: Cell::new(0),
            late: Cell::new(Duration::ZERO),
            halved: Cell::new(0),
        }
    }
}

impl AdmittedShare {
    /// Not all calls are admitted.
    #[inline]
    pub(super) fn is_limiting(&self) -> bool {
        self.share.get() < 1.0
    }

    /// Whether a call is admitted. `is_first`: its connection has no other one under way.
    pub(super) fn admits(&self, is_first: bool) -> bool {
        let share = self.share.get() * if is_first { FIRST } else { 1.0 };
        let saved = self.saved.get() + share.min(1.0);
        let admits = saved >= 1.0;
        self.saved.set(if admits { saved - 1.0 } else { saved });
        self.refused.set(self.refused.get() + u32::from(!admits));
        admits
    }

    /// A beat of the loop came so late, `elapsed` after the last one. The loop has worked for a part of that time: `busy`.
    pub(super) fn beat(&self, late: Duration, (is_busy, busy): (bool, f64), elapsed: Duration) {
        let refused = self.refused.replace(0);
        let halved = self.halved.replace(0);
        // A loop that has waited is late because of something else.
        let late = if is_busy { late } else { Duration::ZERO };
        let before = self.late.replace(late);
        let begins = !self.is_limiting();
        // A single long round may be a pause.
        if begins && (!is_busy || late.min(before) < LONG) {
            return;
        }
        let grown = if begins || halved > 0 {
            // What has come since then is not known, or was refused for that already.
            0.0
        } else {
            (late.as_secs_f64() - before.as_secs_f64()) / elapsed.as_secs_f64()
        };
        let beyond = busy.min(1.0) + grown - 1.0;
        let too_long = (late.as_secs_f64() - ROUND.as_secs_f64()) / BACK_WITHIN.as_secs_f64();
        let step = -(GAIN * beyond + too_long);
        let most = if busy < IDLE {
            STEP_IF_IDLE
        } else {
            STEP_BOUNDS.1
        };
        let step = step.clamp(STEP_BOUNDS.0, most);
        if step > 0.0 || !mostly_refuses(refused, elapsed) {
            let share = self.share.get() * step.exp();
            self.share.set(share.clamp(LEAST, 1.0));
        }
    }

    /// Calls have arrived for that long while a beat is overdue. If there are many connections, each of which brings many calls,
    /// a single round would take longer than the calls have time. So the share is halved while the round still lasts.
    pub(super) fn overdue(&self, by: Duration) {
        let halved = self.halved.get();
        if by < OVERDUE + OVERDUE_STEP * halved || mostly_refuses(self.refused.get(), by) {
            return;
        }
        self.halved.set(halved + 1);
        self.share.set((self.share.get() / 2.0).max(LEAST));
    }
}

/// Whether refusals took more than half of that time.
fn mostly_refuses(refused: u32, elapsed: Duration) -> bool {
    REFUSAL * refused > elapsed / 2
}

#[cfg(test)]
mod tests;
