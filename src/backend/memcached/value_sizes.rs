//! Decides how many keys to ask one server for at once, by how long its values were lately.

use std::cell::Cell;

use bytes::Bytes;

/// The most keys of one question.
const KEYS_MAX: usize = 128;
/// About how many bytes one answer should have: the protocol's crate reads an answer of several values again from
/// its beginning whenever more of it comes, which costs the square of its length.
const ANSWER_BYTES: usize = 1 << 20;

/// What a server has for the keys of one question, in their order.
pub(super) type Values = Vec<Option<Bytes>>;

/// The recent length of a server's values, in bytes.
#[derive(Default)]
pub(super) struct ValueSizes(Cell<usize>);

impl ValueSizes {
    /// How many keys to ask for at once.
    pub(super) fn keys_max(&self) -> usize {
        (ANSWER_BYTES / self.0.get().max(1)).clamp(1, KEYS_MAX)
    }

    /// Notes the values of an answer. Forgets long ones slowly, so that a short one among them does not raise the number
    /// of keys at once.
    pub(super) fn note(&self, found: &Values) {
        let values = found.iter().flatten().count();
        let bytes: usize = found.iter().flatten().map(Bytes::len).sum();
        if let Some(mean) = bytes.checked_div(values) {
            let before = self.0.get();
            self.0.set(mean.max(before - before / 8));
        }
    }
}
