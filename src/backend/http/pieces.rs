//! Keeps a body in the pieces in which it arrived.
//!
//! A large body is put together where it is decoded: to do so while it arrives would copy it several times on the loop, since
//! its length is not always known before.

use bytes::{Bytes, BytesMut};

/// Shorter pieces are put together as they come: the list must not take more memory than the body.
const PIECE_BYTES_MIN: usize = 16 * 1024;
/// How much is put together.
const TOGETHER_BYTES: usize = 64 * 1024;

/// The pieces of a body so far.
#[derive(Default)]
pub(super) struct Pieces {
    /// How many bytes they have.
    pub(super) bytes: usize,
    whole: Vec<Bytes>,
    /// What short pieces at the end were put together to.
    last: BytesMut,
}

impl Pieces {
    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let is_first = self.bytes == 0;
        self.bytes += piece.len();
        if !is_first && piece.len() < PIECE_BYTES_MIN {
            self.last.extend_from_slice(&piece);
            if self.last.len() >= TOGETHER_BYTES {
                self.end_last();
            }
        } else {
            self.end_last();
            self.whole.push(piece);
        }
    }

    fn end_last(&mut self) {
        if !self.last.is_empty() {
            self.whole.push(std::mem::take(&mut self.last).freeze());
        }
    }

    /// The body. The common case of a body in one piece is not copied.
    pub(super) fn joined(mut self) -> Bytes {
        self.end_last();
        match &mut self.whole[..] {
            [] => Bytes::new(),
            [one] => std::mem::take(one),
            several => several.concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_are_the_body_and_short_ones_cost_no_list() {
        let body: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        for step in [1, 1000, PIECE_BYTES_MIN, 400_000] {
            let mut pieces = Pieces::default();
            for (at, piece) in body.chunks(step).enumerate() {
                pieces.push(Bytes::copy_from_slice(piece));
                assert!(
                    pieces.whole.len() <= 2 + (at + 1) * step / PIECE_BYTES_MIN,
                    "{step}"
                );
            }
            assert_eq!(pieces.bytes, body.len());
            assert!(pieces.joined() == body, "{step}");
        }
    }

    #[test]
    fn a_body_in_one_piece_is_not_copied() {
        let body = Bytes::from(vec![7; 100]);
        let at = body.as_ptr();
        let mut pieces = Pieces::default();
        pieces.push(Bytes::new());
        pieces.push(body);
        assert_eq!(pieces.joined().as_ptr(), at);
        assert!(Pieces::default().joined().is_empty());
    }
}
