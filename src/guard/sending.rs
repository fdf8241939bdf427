//! Tells how far a question has come that is asked for several calls.

use std::cell::RefCell;

use super::reply_slots::SlotProbe;

/// How far a question has come on its way to its store.
#[derive(Default)]
pub(super) struct Sending(RefCell<Progress>);

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
        self.0.replace(progress);
    }

    /// Whether the store has it, or may have it.
    pub(super) fn was_sent(&self) -> bool {
        match &*self.0.borrow() {
            Progress::Unsent => false,
            Progress::Batched(slot) => !slot.is_queued(),
            Progress::Alone => true,
        }
    }
}
