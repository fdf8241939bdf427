//! Applies planned faults: delays a lookup before it is sent, and fails a share of lookups.

use std::time::Duration;

use crate::backend::LookupError;
use crate::error::Code;
use crate::program::Inject;

/// Tokio's timers round up to a millisecond. Half a tick less makes the average delay right.
const HALF_TICK: Duration = Duration::from_micros(500);

/// Waits, then fails if this lookup is `unlucky`: after the delay, as a slow failure would.
pub(super) async fn apply(inject: Inject, unlucky: bool) -> Result<(), LookupError> {
    if let Some(delay) = inject.delay {
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
