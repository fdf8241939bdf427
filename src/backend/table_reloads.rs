//! Counts what became of files that changed while they were watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a file that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableReload {
    /// Its rows are served.
    Ok,
    /// The old rows are still served.
    Refused,
}

impl TableReload {
    /// Every outcome in the order of its number.
    pub const ALL: [(&'static str, bool); 2] = [("ok", true), ("refused", true)];
}

/// The counts of one watched file, by [`TableReload`]. The thread that watches it is the only writer.
#[derive(Clone, Debug)]
pub struct TableReloads(Arc<[AtomicU64]>);

impl TableReloads {
    pub(super) fn new() -> Self {
        TableReloads([AtomicU64::new(0), AtomicU64::new(0)].into())
    }

    pub(super) fn count(&self, what: TableReload) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts themselves, for a scrape on another thread.
    pub fn counts(&self) -> &Arc<[AtomicU64]> {
        &self.0
    }
}
