//! Replies on their way out: the bytes that wait for the client to take them.

use bytes::{Buf, BytesMut};

/// Replies are gathered up to this size before they are written. With more, no further call of the connection is taken.
const WRITE_BYTES: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Outbound {
    buffer: BytesMut,
    /// The memory that the buffer takes until it is empty again: it keeps what was written of it until then.
    bytes: usize,
}

impl Outbound {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// No further reply is added until the client takes some.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= WRITE_BYTES
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a reply. The first one's buffer is used as it is.
    pub(super) fn push(&mut self, reply: BytesMut) {
        if self.buffer.is_empty() {
            self.buffer = reply;
        } else {
            self.buffer.extend_from_slice(&reply);
        }
        self.bytes = self.bytes.max(self.buffer.capacity());
    }

    /// The client took that many bytes. Returns the buffer if they were the last: an idle connection keeps none.
    pub(super) fn advance(&mut self, bytes: usize) -> Option<BytesMut> {
        self.buffer.advance(bytes);
        if !self.buffer.is_empty() {
            return None;
        }
        self.bytes = 0;
        Some(std::mem::take(&mut self.buffer))
    }
}
