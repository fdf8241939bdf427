//! Counts the calls in flight, up to `calls_max`, and says in the log when calls are refused.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::error::Code;
use crate::log_limit::LogLimit;
use crate::metrics::{Overloaded, ProgramMetrics, Served};
use crate::recorder::CallRecorder;

/// A connection may have this many times as many calls as may still begin.
const SHARE_OF_FREE: usize = 4;

/// The calls in flight of one service on one loop.
pub(super) struct CallsInFlight {
    count: Cell<usize>,
    calls_max: usize,
    metrics: Rc<ProgramMetrics>,
    /// Takes some of them when they end.
    recorder: Option<Rc<CallRecorder>>,
    /// Calls that were refused.
    refused: LogLimit<Overloaded>,
}

impl CallsInFlight {
    pub(super) fn new(
        calls_max: usize,
        metrics: &Rc<ProgramMetrics>,
        recorder: Option<Rc<CallRecorder>>,
    ) -> Rc<Self> {
        Rc::new(CallsInFlight {
            count: Cell::new(0),
            calls_max,
            metrics: Rc::clone(metrics),
            recorder,
            refused: LogLimit::default(),
        })
    }

    /// Counts a call that is refused, and logs the reason unless that was just logged.
    #[cold]
    pub(super) fn refuse(&self, why: Overloaded) {
        self.metrics.loop_metrics.overloaded(why);
        let what = match why {
            Overloaded::CallsMax => "calls refused: `calls_max` are in flight, or nearly as many",
            Overloaded::Memory => "calls refused: clients hold too much memory",
            Overloaded::Waiting => "calls refused: they waited too long for their turn to begin",
            // Who found that out knows more about it, and logs it.
            Overloaded::Loop => return,
        };
        if let Some(suppressed) = self.refused.allow(why) {
            let (code, reason, calls_max) = (Code::ServerOverloaded, why.word(), self.calls_max);
            warn!(%code, reason, calls_max, suppressed, "{what}");
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// No further call of a connection may begin that has `unanswered` ones. Near the limit no connection may have more than
    /// [`SHARE_OF_FREE`] times as many as all others may still begin, so that those with few calls are served.
    pub(super) fn is_full(&self, unanswered: usize) -> bool {
        let free = self.calls_max.saturating_sub(self.count.get());
        has_no_room(free, unanswered)
    }

    /// Begins a call of the view at that index.
    pub(super) fn begin(self: &Rc<Self>, view: usize) -> InFlight {
        self.count.set(self.count.get() + 1);
        self.metrics.loop_metrics.calls_in_flight.up();
        InFlight {
            calls: Rc::clone(self),
            view,
            ended: Cell::new(false),
            exhausted: Cell::new(Overloaded::Memory),
        }
    }
}

fn has_no_room(free: usize, unanswered: usize) -> bool {
    unanswered >= free.saturating_mul(SHARE_OF_FREE)
}

/// One call in flight. Dropping it ends the call, finished or not.
pub(super) struct InFlight {
    calls: Rc<CallsInFlight>,
    /// The index of its view in the metrics.
    view: usize,
    /// It finished; otherwise it is dropped because its connection ended.
    ended: Cell<bool>,
    /// Why it ends in `server.overloaded`, if it does.
    exhausted: Cell<Overloaded>,
}

impl InFlight {
    /// The call waited in vain for its turn to begin.
    pub(super) fn never_begins(&self) {
        self.exhausted.set(Overloaded::Waiting);
    }

    /// Whether it has ended otherwise than because its connection did.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// What takes some calls when they end.
    pub(super) fn recorder(&self) -> Option<&CallRecorder> {
        self.calls.recorder.as_deref()
    }

    /// Records how the call ended.
    pub(super) fn finish(&self, ended: Result<Served, Code>, arrived: Instant) -> Duration {
        self.ended.set(true);
        if ended == Err(Code::ServerOverloaded) {
            self.calls.refuse(self.exhausted.get());
        }
        let view = self.calls.metrics.view(self.view);
        let elapsed = arrived.elapsed();
        view.ended(ended, elapsed);
        elapsed
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let calls = &self.calls;
        calls.count.set(calls.count.get() - 1);
        calls.metrics.loop_metrics.calls_in_flight.down();
        if !self.ended.get() {
            calls.metrics.view(self.view).hung_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_limit_a_connection_with_many_calls_leaves_room_for_others() {
        let is_full = |in_flight: usize, unanswered| {
            let free = 100 - in_flight;
            has_no_room(free, unanswered)
        };
        assert!(!is_full(0, 0) && !is_full(79, 79), "a single connection");
        assert!(!is_full(90, 32) && !is_full(91, 32) && is_full(92, 32));
        assert!(!is_full(99, 0) && !is_full(99, 3) && is_full(99, 4));
        assert!(is_full(100, 0));
    }
}
