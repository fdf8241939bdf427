//! Injects the faults that the configuration plans for a lookup: delays, slow answers, failures, and lookups that hang.

use std::cell::RefCell;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{Before, Guard, Way};
use super::question::Question;
use super::trickle::Trickle;
use crate::backend::LookupError;
use crate::error::Code;
use crate::faults::Faults;
use crate::metrics::ProgramMetrics;
use crate::program::Program;
use crate::random::Random;

/// Tokio's timers round up to a millisecond. Half a tick less makes the average delay right.
const HALF_TICK: Duration = Duration::from_micros(500);

/// The faults of every lookup of one loop.
pub(super) struct Injector {
    program: Arc<Program>,
    /// Whether any lookup has faults, so that the usual case costs one look.
    any: bool,
    random: RefCell<Random>,
}

impl Guard for Injector {
    fn new(program: &Arc<Program>, random: &Random, _metrics: &ProgramMetrics) -> Self {
        let mut lookups = program.lookups.iter();
        Injector {
            program: Arc::clone(program),
            any: lookups.any(|lookup| !lookup.inject.is_empty()),
            random: RefCell::new(random.clone()),
        }
    }

    #[inline]
    fn before<'a>(&'a self, question: &Question<'a>, _way: Way<'_>) -> Before<'a> {
        if !self.any {
            return Before::Pass;
        }
        let faults = &self.program.lookups[question.lookup.0].inject;
        if faults.is_empty() {
            return Before::Pass;
        }
        suffer(faults, &mut self.random.borrow_mut(), "the configuration")
    }
}

/// Does to a question what `faults` say, which `whose` asked for.
pub(super) fn suffer<'a>(faults: &Faults, random: &mut Random, whose: &'static str) -> Before<'a> {
    let delay = faults.delay.filter(|_| random.chance(faults.delay_rate));
    let trickle = faults
        .trickle
        .filter(|_| random.chance(faults.trickle_rate));
    let trickle = trickle.map(Trickle::new);
    let hangs = random.chance(faults.hang_rate);
    let fails = random.chance(faults.error_rate).then_some(faults.error);
    let hold = hold(delay, hangs, (fails, whose));
    Before::Hold(Box::pin(async move { hold.await.map(|()| trickle) }))
}

/// Waits, then hangs or fails if it is to: after the delay, as a slow failure would.
async fn hold(
    delay: Option<Duration>,
    hangs: bool,
    (fails, whose): (Option<Code>, &'static str),
) -> Result<(), LookupError> {
    if let Some(delay) = delay {
        tokio::time::sleep(delay.saturating_sub(HALF_TICK)).await;
    }
    if hangs {
        return pending().await;
    }
    match fails {
        Some(code) => Err(LookupError::new(code, format!("injected by {whose}"))),
        None => Ok(()),
    }
}
