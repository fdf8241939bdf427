//! Planned faults: a delay before a lookup is sent, and a share of lookups that fail.

use std::time::Duration;

use crate::backend::LookupError;
use crate::error::Code;

/// Tokio's timers count in milliseconds and round up: with half of one less a delay is right on the average.
const HALF_TICK: Duration = Duration::from_micros(500);

/// `inject = { delay = "120ms", error_rate = 0.1 }`
#[derive(Clone, Copy, Debug, Default)]
pub struct Inject {
    /// How long each lookup waits before it is sent.
    pub delay: Option<Duration>,
    /// The share of lookups that end in `lookup.injected`, 0.0 to 1.0.
    pub error_rate: f64,
}

impl Inject {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.delay.is_none() && self.error_rate <= 0.0
    }

    /// Waits and, if this lookup is `unlucky`, fails: after the delay, as a slow failure would.
    pub async fn apply(&self, unlucky: bool) -> Result<(), LookupError> {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay.saturating_sub(HALF_TICK)).await;
        }
        if unlucky {
            return Err(LookupError::new(
                Code::LookupInjected,
                "injected by the configuration",
            ));
        }
        Ok(())
    }
}
