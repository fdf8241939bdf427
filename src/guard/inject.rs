//! Injects the faults that the configuration plans for a lookup: a delay, and a share of failures.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{Before, Guard, Way};
use super::question::Question;
use crate::backend::LookupError;
use crate::error::Code;
use crate::metrics::ProgramMetrics;
use crate::program::{Inject, Program};
use crate::random::Random;

/// Tokio's timers round up to a millisecond. Half a tick less makes the average delay right.
const HALF_TICK: Duration = Duration::from_micros(500);

/// The faults of every lookup of one loop.
pub(super) struct Injector {
    program: Arc<Program>,
    random: RefCell<Random>,
}

impl Guard for Injector {
    fn new(program: &Arc<Program>, random: &Random, _metrics: &ProgramMetrics) -> Self {
        Injector {
            program: Arc::clone(program),
            random: RefCell::new(random.clone()),
        }
    }

    #[inline]
    fn before<'a>(&'a self, question: &Question<'a>, _way: Way<'_>) -> Before<'a> {
        let inject = &self.program.lookups[question.lookup.0].inject;
        if inject.is_empty() {
            return Before::Pass;
        }
        let fails = self.random.borrow_mut().chance(inject.error_rate);
        Before::Hold(Box::pin(hold(inject, fails)))
    }
}

/// Waits, then fails if it is to: after the delay, as a slow failure would.
async fn hold(inject: &Inject, fails: bool) -> Result<(), LookupError> {
    if let Some(delay) = inject.delay {
        tokio::time::sleep(delay.saturating_sub(HALF_TICK)).await;
    }
    if fails {
        return Err(LookupError::new(
            Code::LookupInjected,
            "injected by the configuration",
        ));
    }
    Ok(())
}
