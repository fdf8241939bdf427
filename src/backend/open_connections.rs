//! Counts the connections to a store whose number changes with the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections to one store are up on one loop, which is the only writer.
#[derive(Clone, Debug)]
pub struct OpenConnections(Arc<[AtomicU64]>);

/// A connection that is up. It is counted until this is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection(OpenConnections);

impl OpenConnections {
    pub(super) fn new() -> Self {
        OpenConnections([AtomicU64::new(0)].into())
    }

    /// A connection is up now.
    pub(super) fn one(&self) -> OpenConnection {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    /// The number itself, for a scrape on another thread.
    pub fn counts(&self) -> &Arc<[AtomicU64]> {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0[0].fetch_sub(1, Ordering::Relaxed);
    }
}
