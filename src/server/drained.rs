//! Reports how a drain ended.

use std::time::Duration;

use tracing::{info, warn};

/// How the drain of one loop, or of all loops, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drained {
    /// From the shutdown until the last connection ended or was abandoned.
    pub(super) took: Duration,
    /// The calls that were abandoned because they took longer than `drain_timeout`.
    pub(super) calls_cut_off: usize,
    /// The connections that were open by then.
    pub(super) open: usize,
}

impl Drained {
    /// Both loops: they drain at the same time.
    pub(super) fn and(self, other: Self) -> Self {
        Drained {
            took: self.took.max(other.took),
            calls_cut_off: self.calls_cut_off + other.calls_cut_off,
            open: self.open + other.open,
        }
    }

    /// Logs the end of the server.
    pub(super) fn log(self) {
        if self.open > 0 {
            warn!(open = self.open, "drain timed out");
        }
        let drain_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        let calls_cut_off = (self.calls_cut_off > 0).then_some(self.calls_cut_off);
        info!(drain_ms, calls_cut_off, "stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_drain_at_the_same_time_and_their_calls_add_up() {
        let of = |seconds, calls_cut_off| Drained {
            took: Duration::from_secs(seconds),
            calls_cut_off,
            open: calls_cut_off,
        };
        assert_eq!(of(3, 2).and(of(1, 5)), of(3, 7));
        assert_eq!(Drained::default().and(of(1, 5)), of(1, 5));
    }
}
