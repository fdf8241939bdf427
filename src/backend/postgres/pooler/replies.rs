//! Filters what the server sends: the client sees the replies to its own messages only.
//!
//! A statement that is parsed again may have other types than when the client prepared it. The client would decode
//! its rows by the old ones, so that it gets the error that a server gives for a stale prepared statement instead, and
//! prepares it again.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

use super::expected::{Expected, ExpectedReplies};
use super::requests::{message, whole};

/// The server's messages, which may come in any pieces.
#[derive(Default)]
pub(super) struct Replies {
    /// The description of the parameters, until that of the columns comes.
    params: Bytes,
    /// Whether the rest of the transaction's replies is hidden.
    is_stale: bool,
}

/// What the server says itself of a stale statement (`ErrorResponse`).
const STALE: &[&[u8]] = &[
    b"SERROR\0VERROR\0C0A000\0",
    b"Mcached plan must not change result type\0",
    b"RRevalidateCachedQuery\0\0",
];

impl Replies {
    /// Takes the whole messages of `input`; what the client may see is appended to `out`.
    pub(super) fn take(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        steps: &mut ExpectedReplies,
    ) -> io::Result<()> {
        while let Some(length) = whole(input, 1)? {
            let whole = input.split_to(length).freeze();
            if self.passes(&whole, out, steps) {
                out.extend_from_slice(&whole);
            }
        }
        Ok(())
    }

    fn passes(&mut self, whole: &Bytes, out: &mut BytesMut, steps: &mut ExpectedReplies) -> bool {
        let is_ours = |steps: &ExpectedReplies| {
            matches!(steps.front(), Some(Expected::Ours | Expected::Compare(_)))
        };
        match whole[0] {
            // Ready for the next transaction: whatever was skipped after an error is not to come any more.
            b'Z' => {
                while steps
                    .pop_front()
                    .is_some_and(|step| !matches!(step, Expected::Sync))
                {}
                self.is_stale = false;
                true
            }
            // Parameters: the columns follow.
            b't' => {
                self.params = whole.clone();
                !self.is_stale && !is_ours(steps)
            }
            b'D' => !self.is_stale && !is_ours(steps),
            b'1' | b'2' | b'3' | b'C' | b'I' | b's' | b'T' | b'n' => {
                let passes = self.replied(whole, out, steps);
                passes && !self.is_stale
            }
            b'E' => !self.is_stale,
            // Notices and settings may come at any time.
            _ => true,
        }
    }

    /// Takes the last message of one reply.
    fn replied(&mut self, whole: &Bytes, out: &mut BytesMut, steps: &mut ExpectedReplies) -> bool {
        // A simple query has one step for all of its replies.
        if matches!(steps.front(), None | Some(Expected::Sync)) {
            return true;
        }
        match steps.pop_front() {
            Some(Expected::Ours) => false,
            Some(Expected::Learn(known)) => {
                // Only the first description counts; there is no second.
                drop(known.described.set(self.description(whole)));
                true
            }
            Some(Expected::Compare(known)) => {
                if !self.is_stale && known.described.get() != Some(&self.description(whole)) {
                    self.is_stale = true;
                    message(out, b'E', STALE);
                }
                false
            }
            _ => true,
        }
    }

    /// The parameters and the columns.
    fn description(&mut self, columns: &Bytes) -> Bytes {
        let mut both = std::mem::take(&mut self.params).chain(columns.clone());
        both.copy_to_bytes(both.remaining())
    }
}
