//! Reads `inject`: planned faults of a lookup, for testing.

use std::time::Duration;

use crate::config::Section;

/// `inject = { delay = "120ms", error_rate = 0.1 }`
#[derive(Clone, Copy, Debug, Default)]
pub struct Inject {
    /// How long each lookup waits before it is sent.
    pub delay: Option<Duration>,
    /// The share of lookups that end in `lookup.injected`, 0.0 to 1.0.
    pub error_rate: f64,
}

impl Inject {
    /// Reads the table `inject` of a lookup.
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let inject = Inject {
            delay: section.duration("delay").map(|(delay, _)| delay),
            error_rate: section.number("error_rate", 0.0..=1.0).unwrap_or(0.0),
        };
        section.finish();
        inject
    }

    /// Whether no fault is planned.
    pub fn is_empty(&self) -> bool {
        self.delay.is_none() && self.error_rate <= 0.0
    }
}
