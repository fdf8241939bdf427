//! Counts what the breaker of a backend does.

use super::{Counts, Gauge, Metrics};
use crate::breaker::Change;

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerEvent {
    /// It opened.
    Opened,
    /// It closed.
    Closed,
    /// It let a lookup through as a probe.
    Probed,
    /// It refused a lookup.
    Refused,
    /// It would have refused a lookup, and only measures.
    Measured,
}

impl BreakerEvent {
    /// Every event in the order of its number.
    pub const ALL: [(&'static str, bool); 5] = [
        ("opened", true),
        ("closed", true),
        ("probed", true),
        ("refused", true),
        ("measured", true),
    ];
}

/// The metrics of one breaker.
#[derive(Clone, Debug)]
pub struct BreakerMetrics {
    events: Counts,
    open: Gauge,
}

impl BreakerMetrics {
    pub(super) fn new(metrics: &Metrics, backend: &str) -> Self {
        BreakerMetrics {
            events: metrics.families.breaker_events.counts(&[backend]),
            open: metrics.families.breakers_open.gauge(&[backend]),
        }
    }

    /// Counts an event other than a change.
    pub fn count(&self, event: BreakerEvent) {
        self.events.count(event as usize);
    }

    /// Counts a change.
    pub(crate) fn changed(&self, change: Change) {
        let (event, open) = match change {
            Change::Opened => (BreakerEvent::Opened, 1),
            Change::Closed => (BreakerEvent::Closed, 0),
        };
        self.count(event);
        self.open.set(open);
    }

    /// Whether the breaker is open or half-open, and how often each event happened.
    #[cfg(test)]
    pub(crate) fn now(&self) -> (usize, Vec<u64>) {
        let events = 0..BreakerEvent::ALL.len();
        (
            self.open.get(),
            events.map(|at| self.events.get(at)).collect(),
        )
    }
}
