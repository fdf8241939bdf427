//! Counts the calls in flight, up to `calls_max`.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

use crate::error::Code;
use crate::metrics::ProgramMetrics;

/// The calls in flight of one service on one loop.
pub(super) struct CallsInFlight {
    count: Cell<usize>,
    calls_max: usize,
    metrics: Rc<ProgramMetrics>,
}

impl CallsInFlight {
    pub(super) fn new(calls_max: usize, metrics: &Rc<ProgramMetrics>) -> Rc<Self> {
        Rc::new(CallsInFlight {
            count: Cell::new(0),
            calls_max,
            metrics: Rc::clone(metrics),
        })
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// No further call may begin.
    pub(super) fn is_full(&self) -> bool {
        self.count.get() >= self.calls_max
    }

    /// Begins a call of the view at that index.
    pub(super) fn begin(self: &Rc<Self>, view: usize) -> InFlight {
        self.count.set(self.count.get() + 1);
        self.metrics.loop_metrics.calls_in_flight.up();
        InFlight {
            calls: Rc::clone(self),
            view,
            ended: Cell::new(false),
        }
    }
}

/// One call in flight. Dropping it ends the call, finished or not.
pub(super) struct InFlight {
    calls: Rc<CallsInFlight>,
    /// The index of its view in the metrics.
    view: usize,
    /// It finished; otherwise it is dropped because its client disconnected.
    ended: Cell<bool>,
}

impl InFlight {
    /// Records how the call ended.
    pub(super) fn finish(&self, ended: Result<(), Code>, arrived: Instant) {
        self.ended.set(true);
        let view = self.calls.metrics.view(self.view);
        view.ended(ended, arrived.elapsed());
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
