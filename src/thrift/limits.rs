//! What one message may cost in bytes, depth and values.
//!
//! In: the operator's limits. Out: a budget per message, spent while it is read. What is declared is paid for before
//! anything is reserved for it.

use super::error::{too_deep, too_many_values};
use super::{Shapes, WireError};

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message: a frame without its length, or a whole unframed message.
    pub frame_bytes_max: usize,
    /// How deep structs and containers may be nested; the parameters themselves are the first level.
    /// More than [`DEPTH_CEILING`] counts as that.
    pub depth_max: usize,
    /// How many values one message may hold, fields that are not set and values that are stepped over
    /// included: a value is up to fifty times as large in memory as on the wire.
    pub values_max: usize,
    /// The largest message that a compressed frame may hold; 0 takes no compressed frames.
    pub inflated_bytes_max: usize,
    /// The shapes that a client may speak; by default all.
    pub shapes: Shapes,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes_max: 16_384_000,
            depth_max: 64,
            values_max: 1_000_000,
            inflated_bytes_max: 0,
            shapes: Shapes::default(),
        }
    }
}

/// No deeper nesting is ever read or written, so that recursion fits on any thread's stack.
pub const DEPTH_CEILING: usize = 256;

/// What reading the rest of a message may still cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Levels deeper.
    pub(super) depth: usize,
    /// Values more.
    pub(super) values: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Budget {
            depth: limits.depth_max.min(DEPTH_CEILING),
            values: limits.values_max,
        }
    }

    /// Pays for `count` values.
    #[inline]
    pub(super) fn spend(&mut self, count: usize) -> Result<(), WireError> {
        match self.values.checked_sub(count) {
            Some(left) => {
                self.values = left;
                Ok(())
            }
            None => Err(too_many_values()),
        }
    }

    /// One level down; the caller comes up again with [`Budget::leave`] unless it fails.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), WireError> {
        match self.depth.checked_sub(1) {
            Some(left) => {
                self.depth = left;
                Ok(())
            }
            None => Err(too_deep()),
        }
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth += 1;
    }
}
