//! Counts what one message may still cost while it is read: levels of nesting, and values.
//!
//! A declared count is paid for before memory is reserved for it.

use super::error::{WireError, too_deep, too_many_values};

/// No message may be nested deeper than this, so that recursion fits on any thread's stack.
pub const DEPTH_CEILING: usize = 256;

/// What the rest of a message may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// How many levels deeper it may be nested.
    pub(super) depth: usize,
    /// How many more values it may hold.
    pub(super) values: usize,
}

impl Budget {
    #[inline]
    pub(super) fn new(depth_max: usize, values_max: usize) -> Self {
        Budget {
            depth: depth_max.min(DEPTH_CEILING),
            values: values_max,
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

    /// Enters a struct or container. The caller leaves with [`Budget::leave`] unless reading fails.
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

    /// Leaves a struct or container.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth += 1;
    }
}
