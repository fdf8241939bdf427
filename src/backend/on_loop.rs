//! Defines what a store gets from the loop it is on.

use std::any::Any;
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
    /// Where the stores of the loop say what is known of a question that was given up.
    pub given_up: GivenUp,
    /// What the store before this one hears changes with, if this one is to hear of the same: answers that were kept stay
    /// right only if nothing is missed in between.
    pub hearing: Option<Rc<dyn Any>>,
}

/// What is known of the last question that was dropped without an answer. Who drops a question that has run out of time reads it
/// right afterwards; nothing else happens on the loop in between.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Rc<RefCell<Known>>);

/// What is known of a question that was dropped without an answer.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Where it was, if its store has endpoints.
    pub endpoints: Option<AskedEndpoints<Instant>>,
    /// It was never sent: it waited for a connection, while its store answered others.
    pub in_line: bool,
}

impl GivenUp {
    pub(super) fn say(&self, endpoint: &Arc<str>) {
        let endpoints = AskedEndpoints::one(Arc::clone(endpoint));
        self.0.borrow_mut().endpoints = Some(endpoints);
    }

    /// What was given up just now had not been sent, since all connections were busy.
    pub(super) fn say_in_line(&self) {
        self.0.borrow_mut().in_line = true;
    }

    /// What was given up just now, if it was a question to endpoints, was asked so often.
    pub(super) fn say_how_often(&self, attempts: u8, hedged_at: Option<Instant>) {
        if let Some(asked) = &mut self.0.borrow_mut().endpoints {
            (asked.attempts, asked.hedged) = (attempts, hedged_at.is_some());
            asked.hedged_at = hedged_at;
        }
    }

    /// What is known of the question that is given up by `give_up`.
    pub(crate) fn by(&self, give_up: impl FnOnce()) -> Known {
        self.0.take();
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
            hearing: self.hearing.clone(),
        }
    }
}
