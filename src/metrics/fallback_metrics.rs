//! Counts what is asked instead of lookups that fail.

use super::{Counts, Histogram};
use crate::timeline::{Micros, Source};

/// What became of it. The numbers are those of [`FallbackOutcome::words`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FallbackOutcome {
    Answered,
    Empty,
    Failed,
    Cancelled,
}

/// The metrics of one of those that are asked instead of a lookup of a view.
#[derive(Debug)]
pub(super) struct FallbackMetrics {
    pub(super) outcomes: Counts,
    pub(super) sources: Counts,
    pub(super) duration: Histogram,
}

impl FallbackOutcome {
    /// The values of the label, in the order of the variants.
    pub(super) fn words() -> Vec<(&'static str, bool)> {
        ["answered", "empty", "failed", "cancelled"]
            .map(|word| (word, true))
            .into()
    }
}

impl FallbackMetrics {
    pub(super) fn ended(&self, outcome: FallbackOutcome, source: Source, ran: Micros) {
        self.outcomes.count(outcome as usize);
        self.sources.count(source as usize);
        self.duration.observe_time(ran.into());
    }
}
