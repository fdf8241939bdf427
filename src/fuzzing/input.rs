//! Reads choices and pieces from a fuzz input.

use std::fmt::Debug;

/// The bytes of an input, taken from the front.
#[derive(Clone, Debug)]
pub(crate) struct FuzzInput<'a>(pub(crate) &'a [u8]);

impl<'a> FuzzInput<'a> {
    /// The next byte; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        byte
    }

    /// One of `choices`.
    pub(crate) fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// A part after its length in one byte; shorter if the input ends.
    pub(crate) fn part(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }

    /// The rest, cut into pieces: single bytes if the next byte is 0, otherwise pieces of pseudo-random lengths.
    pub(crate) fn pieces(&mut self) -> Vec<&'a [u8]> {
        let mut state = u32::from(self.byte());
        let mut rest = std::mem::take(&mut self.0);
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let length = if state == 0 {
                1
            } else {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) | 1;
                // Mostly short, so that tokens are cut in the middle.
                1 + (state >> 16 & 0x0f) as usize * (1 + (state >> 20 & 0x07) as usize)
            };
            let (piece, more) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces
    }
}

/// Panics unless `kept`, naming the broken promise and the value that broke it.
#[track_caller]
pub(crate) fn hold(kept: bool, promise: &str, by: impl Debug) {
    assert!(kept, "{promise}: {by:?}");
}

/// Panics unless two ways of computing the same thing agree.
#[track_caller]
pub(crate) fn agree<T: PartialEq + Debug>(what: &str, one: &T, other: &T) {
    assert_eq!(one, other, "{what}");
}
