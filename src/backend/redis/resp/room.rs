//! The memory of a large reply while it arrives: counted, or not kept at all.
//!
//! Other replies follow on the same connection, so a large reply can't wait for memory. If there is none, the rest of it
//! is read and thrown away.

use bytes::{Buf as _, BytesMut};

use super::reply::{BadReply, Reply};
use crate::backend::StoreMemory;
use crate::backend::memory::{FREE_BYTES, Reading};

/// A buffer that was larger is not kept after a long string was skipped.
const KEPT_BYTES: usize = 4 * FREE_BYTES;

/// The memory of the reply that is being read.
#[derive(Debug, Default)]
pub(super) struct Room {
    memory: StoreMemory,
    /// How many bytes of it were parsed.
    taken: usize,
    /// Its memory, if it is large.
    reading: Option<Reading>,
    is_refused: bool,
    /// How many bytes of a string are to be skipped.
    skipping: Option<usize>,
}

impl Room {
    pub(super) fn new(memory: &StoreMemory) -> Self {
        Room {
            memory: memory.clone(),
            ..Room::default()
        }
    }

    /// So many bytes became items.
    pub(super) fn took(&mut self, bytes: usize, items: usize) {
        self.taken += bytes + items * size_of::<Reply>();
    }

    /// Whether the reply, which is incomplete, is large.
    pub(super) fn is_of_large_reply(&self) -> bool {
        self.taken > FREE_BYTES
    }

    /// Counts the reply, of which `rest` bytes are not parsed. False: nothing of it may be kept.
    pub(super) fn takes(&mut self, rest: usize) -> bool {
        let bytes = self.taken + rest;
        if bytes <= FREE_BYTES || self.is_refused {
            return !self.is_refused;
        }
        let reading = self
            .reading
            .get_or_insert_with(|| self.memory.read_shared());
        if reading.now(bytes).is_err() {
            self.reading = None;
            self.is_refused = true;
        }
        !self.is_refused
    }

    /// Whether nothing of the reply is kept.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// The complete reply, with its memory.
    pub(super) fn complete(&mut self, reply: Reply) -> Reply {
        let (reading, is_refused) = (self.reading.take(), self.is_refused);
        self.clear();
        match reading {
            _ if is_refused => Reply::Refused,
            Some(reading) => reply.holding(reading.held()),
            None => reply,
        }
    }

    /// Begins with the next reply.
    pub(super) fn clear(&mut self) {
        self.taken = 0;
        self.is_refused = false;
        self.reading = None;
    }

    /// Skips a string of that length.
    pub(super) fn skip(&mut self, length: usize) {
        self.skipping = Some(length);
    }

    /// Whether a string is being skipped.
    pub(super) fn skips(&self) -> bool {
        self.skipping.is_some()
    }

    /// Skips what there is of the string; true if that is all of it.
    pub(super) fn skip_some(&mut self, input: &mut BytesMut) -> Result<bool, BadReply> {
        let left = self.skipping.unwrap_or_default();
        let some = left.min(input.len());
        input.advance(some);
        self.skipping = Some(left - some);
        if input.is_empty() && input.capacity() > KEPT_BYTES {
            *input = BytesMut::new();
        }
        let Some(end) = input.get(..2) else {
            return Ok(false);
        };
        if *end != *b"\r\n" {
            return Err(BadReply("a string that does not end"));
        }
        input.advance(2);
        self.skipping = None;
        Ok(true)
    }
}
