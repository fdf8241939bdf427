//! Counts reloads from when they are asked for until every loop serves what came of them, for the service manager.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many reloads have begun, and which of them are over.
#[derive(Debug, Default)]
pub(super) struct ReloadProgress {
    begun: AtomicU64,
    over: AtomicU64,
    refused: AtomicBool,
}

/// What [`ReloadProgress`] shows at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reloads {
    pub(super) begun: u64,
    /// The number of the last one that is over: those before it are over too.
    pub(super) over: u64,
    /// The one that was over last was refused.
    pub(super) refused: bool,
}

impl ReloadProgress {
    /// A reload begins. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The reload with this number is over, and so are those before it.
    pub(super) fn end(&self, number: u64, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
        self.over.fetch_max(number, Ordering::AcqRel);
    }

    pub(super) fn now(&self) -> Reloads {
        // In this order: no more can be over than have begun.
        let over = self.over.load(Ordering::Acquire);
        Reloads {
            begun: self.begun.load(Ordering::Acquire),
            over,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
