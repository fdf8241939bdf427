//! The operator's limits on one message.

use super::budget::Budget;
use super::wire_format::WireFormats;

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in bytes: a frame without its length, or a whole unframed message.
    pub frame_bytes_max: usize,
    /// How deep structs and containers may be nested; the parameters are the first level. Values above
    /// [`DEPTH_CEILING`](super::DEPTH_CEILING) are lowered to it.
    pub depth_max: usize,
    /// How many values one message may hold, including unset fields and skipped values. A value can be fifty
    /// times as large in memory as on the wire.
    pub values_max: usize,
    /// The largest message in bytes that a compressed frame may hold; 0 refuses compressed frames.
    pub inflated_bytes_max: usize,
    /// The wire formats that a client may use; all by default.
    pub wire_formats: WireFormats,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes_max: 16_384_000,
            depth_max: 64,
            values_max: 1_000_000,
            inflated_bytes_max: 0,
            wire_formats: WireFormats::default(),
        }
    }
}

impl Limits {
    /// The budget of one message.
    #[inline]
    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.depth_max, self.values_max)
    }
}
