//! Defines what a store gets from the loop it is on.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::memory::StoreMemory;
use crate::timeline::AskedEndpoints;

/// What a store gets from the loop it is on.
#[derive(Debug, Default)]
pub struct OnLoop {
    /// The backend's name, for the log.
    pub name: Arc<str>,
    /// For anything random, such as jitter.
    pub seed: u64,
    /// The memory for the answers of all stores.
    pub memory: StoreMemory,
    /// Where the stores of the loop say which endpoint was given up.
    pub given_up: GivenUp,
}

/// The endpoints of the last question that was dropped without an answer. Who drops a question that has run out of time reads
/// right afterwards where it was; nothing else happens on the loop in between.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Rc<RefCell<Option<AskedEndpoints<Instant>>>>);

impl GivenUp {
    pub(super) fn say(&self, endpoint: &Arc<str>) {
        self.0
            .replace(Some(AskedEndpoints::one(Arc::clone(endpoint))));
    }

    /// What was given up just now, if it was a question to endpoints, was asked so often.
    pub(super) fn say_how_often(&self, attempts: u8, hedged_at: Option<Instant>) {
        if let Some(asked) = &mut *self.0.borrow_mut() {
            (asked.attempts, asked.hedged) = (attempts, hedged_at.is_some());
            asked.hedged_at = hedged_at;
        }
    }

    /// The endpoints of the question that was given up by `give_up`, if there were some.
    pub(crate) fn by(&self, give_up: impl FnOnce()) -> Option<AskedEndpoints<Instant>> {
        self.0.replace(None);
        give_up();
        self.0.take()
    }
}

impl OnLoop {
    /// The same loop, for a part of the store with a seed of its own.
    pub(super) fn seeded(&self, seed: u64) -> Self {
        OnLoop {
            name: Arc::clone(&self.name),
            seed,
            memory: self.memory.clone(),
            given_up: self.given_up.clone(),
        }
    }
}
