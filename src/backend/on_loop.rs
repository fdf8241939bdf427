//! Defines what a store gets from the loop it is on.

use std::sync::Arc;

use super::memory::StoreMemory;

/// What a store gets from the loop it is on.
#[derive(Debug, Default)]
pub struct OnLoop {
    /// The backend's name, for the log.
    pub name: Arc<str>,
    /// For anything random, such as jitter.
    pub seed: u64,
    /// The memory for the answers of all stores.
    pub memory: StoreMemory,
}

impl OnLoop {
    /// The same loop, for a part of the store with a seed of its own.
    pub(super) fn seeded(&self, seed: u64) -> Self {
        OnLoop {
            name: Arc::clone(&self.name),
            seed,
            memory: self.memory.clone(),
        }
    }
}
