//! Tells which attempt of a step is under way, and whether a failure is worth another one.
//!
//! A store that says that there is nothing, that refuses the question, or that cannot be asked with these parameters has
//! answered. Only failures that another store may not have are worth asking it.

use crate::error::Code;
use crate::plan::{Plan, Step};
use crate::timeline::Track;

/// Whether something else may have an answer although this lookup failed so.
pub(super) fn may_differ(code: Code) -> bool {
    matches!(
        code,
        Code::LookupTimeout
            | Code::LookupTimeoutPool
            | Code::LookupWaited
            | Code::LookupUnavailable
            | Code::LookupBadAnswer
            | Code::LookupBreakerOpen
            | Code::LookupShed
            | Code::LookupFailed
            | Code::LookupInjected
            | Code::MergeType
            | Code::ServerInternal
    )
}

/// What is under way for the step at `at`: the step itself, or what is asked instead of it.
#[inline]
pub(super) fn asked<'a>(plan: &'a Plan, track: &Track, at: usize) -> &'a Step {
    let step = &plan.steps[at];
    match track.fallback {
        None => step,
        Some(nth) => fallback(step, nth),
    }
}

#[cold]
fn fallback(step: &Step, nth: u8) -> &Step {
    let nth = step.attempts().nth(usize::from(nth) + 1);
    nth.unwrap_or(step)
}
