//! Tells how far a question has come that is asked for several calls.

use std::cell::{Cell, RefCell};

use super::reply_slots::SlotProbe;

/// How far a question has come on its way to its store.
#[derive(Default)]
pub(super) struct Sending {
    progress: RefCell<Progress>,
    is_late: Cell<bool>,
}

/// Where it is.
#[derive(Default)]
pub(super) enum Progress {
    /// Not at the store's queue yet.
    #[default]
    Unsent,
    /// In a batch, which knows.
    Batched(SlotProbe),
    /// Alone. It may still wait for a permit, which only its own future knows.
    Alone,
}

impl Sending {
    pub(super) fn set(&self, progress: Progress) {
        self.progress.replace(progress);
    }

    /// Whether the store has it, or may have it.
    pub(super) fn was_sent(&self) -> bool {
        match &*self.progress.borrow() {
            Progress::Unsent => false,
            Progress::Batched(slot) => !slot.is_queued(),
            Progress::Alone => true,
        }
    }

    /// No call waits any more, since their time has passed. The store has had enough of it, so a question that ends now is late
    /// and not cancelled.
    pub(super) fn set_late(&self) {
        self.is_late.set(true);
    }

    /// Whether the store is to blame if the question ends without an answer.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.get()
    }
}
