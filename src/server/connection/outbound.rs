//! Replies on their way out: the bytes that wait for the client to take them.

use bytes::{Buf, BytesMut};

/// Replies are gathered up to this size before they are written. With more, no further call of the connection is taken.
const WRITE_BYTES: usize = 256 * 1024;
/// No more is written at once, because the kernel copies what it takes: some dozen microseconds of work. A longer reply is also
/// not copied behind another one.
const PIECE_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Outbound {
    buffer: BytesMut,
    /// A long reply behind it.
    next: Option<BytesMut>,
    /// The memory that the buffers take until they are empty again: they keep what was written of them until then.
    bytes: usize,
}

impl Outbound {
    /// What to write next. If something is left afterwards, the loop goes on with other work first.
    pub(super) fn piece(&self) -> &[u8] {
        &self.buffer[..self.buffer.len().min(PIECE_BYTES)]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// No further reply is added until the client takes some.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= WRITE_BYTES || self.next.is_some()
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a reply, unless it is full. The first one's buffer is used as it is, and that of a long one.
    pub(super) fn push(&mut self, reply: BytesMut) {
        let mut behind = 0;
        if self.buffer.is_empty() {
            self.buffer = reply;
        } else if reply.len() > PIECE_BYTES {
            behind = reply.capacity();
            self.next = Some(reply);
        } else {
            self.buffer.extend_from_slice(&reply);
        }
        self.bytes = self.bytes.max(self.buffer.capacity()) + behind;
    }

    /// The client took that many bytes. Returns the buffer if they were the last: an idle connection keeps none.
    pub(super) fn advance(&mut self, bytes: usize) -> Option<BytesMut> {
        self.buffer.advance(bytes);
        if !self.buffer.is_empty() {
            return None;
        }
        if let Some(next) = self.next.take() {
            self.bytes = next.capacity();
            self.buffer = next;
            return None;
        }
        self.bytes = 0;
        Some(std::mem::take(&mut self.buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(byte: u8, length: usize) -> BytesMut {
        BytesMut::from(&*vec![byte; length])
    }

    #[test]
    fn a_long_reply_is_written_in_pieces_and_copied_nowhere() {
        let mut outbound = Outbound::default();
        outbound.push(reply(1, 100));
        outbound.push(reply(2, 200));
        assert!(!outbound.is_full() && outbound.bytes() < PIECE_BYTES);
        let long = reply(3, 8_000_000);
        let at = long.as_ptr();
        outbound.push(long);
        assert!(outbound.is_full() && outbound.bytes() > 8_000_000);
        let (mut written, mut pieces) = (Vec::new(), 0);
        while !outbound.is_empty() {
            let piece = outbound.piece();
            assert!(piece.len() <= PIECE_BYTES);
            if written.len() == 300 {
                assert_eq!(piece.as_ptr(), at);
            }
            written.extend_from_slice(piece);
            pieces += 1;
            let length = piece.len();
            let last = outbound.advance(length);
            assert_eq!(last.is_some(), outbound.is_empty());
        }
        assert!(pieces > 8_000_000 / PIECE_BYTES);
        assert_eq!((outbound.bytes(), outbound.is_full()), (0, false));
        let expected = [vec![1; 100], vec![2; 200], vec![3; 8_000_000]].concat();
        assert!(written == expected, "in order and whole");
    }
}
