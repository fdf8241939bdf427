//! Counts the connections that are accepted, for the thread that accepts them.

use std::sync::Arc;

use super::{Closed, Counts, Metrics};

/// The counts of one thread that accepts. They are made on it.
#[derive(Debug)]
pub struct AcceptMetrics {
    accepted: Counts,
    errors: Counts,
    closed: Counts,
}

impl AcceptMetrics {
    /// Call this on the thread that accepts.
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        let of = &metrics.families;
        AcceptMetrics {
            accepted: of.connections_accepted.counts(&[]),
            errors: of.accept_errors.counts(&[]),
            closed: of.connections_closed.counts(&[]),
        }
    }

    /// A connection was accepted.
    pub fn accepted(&self) {
        self.accepted.count_one();
    }

    /// An accept failed.
    pub fn failed(&self) {
        self.errors.count_one();
    }

    /// A connection was closed because there are too many.
    pub fn refused(&self) {
        self.closed.count(Closed::Refused as usize);
    }
}
