//! Decides how many keys to put into one question to a server, by the recent length of its values.

use std::cell::Cell;

use bytes::Bytes;

use crate::backend::Held;

/// The maximum number of keys in one question.
const KEYS_MAX: usize = 128;
/// About how many bytes one answer should have: while a longer one comes, its connection answers no other lookup.
const ANSWER_BYTES: usize = 1 << 20;

/// What a server has for the keys of one question.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Values {
    /// In the order of the keys.
    pub(super) found: Vec<Option<Bytes>>,
    /// The places of values for which there was no memory; nothing of them was kept.
    pub(super) refused: Vec<usize>,
    /// Keeps their memory counted.
    pub(super) held: Held,
}

/// The recent length of a server's values, in bytes.
#[derive(Default)]
pub(super) struct ValueSizes(Cell<usize>);

impl ValueSizes {
    /// How many keys to put into one question.
    pub(super) fn keys_max(&self) -> usize {
        (ANSWER_BYTES / self.0.get().max(1)).clamp(1, KEYS_MAX)
    }

    /// Records the values of an answer. Long values are forgotten slowly, so that a single short value does not raise the
    /// number of keys.
    pub(super) fn note(&self, values: &Values) {
        let found = || values.found.iter().flatten();
        let values = found().count();
        let bytes: usize = found().map(Bytes::len).sum();
        if let Some(mean) = bytes.checked_div(values) {
            let before = self.0.get();
            self.0.set(mean.max(before - before / 8));
        }
    }
}
