//! Starts a step: decides whether it runs, and with which question, or asks those of its elements.
//!
//! Nothing here waits; [`super::run`] decides when.

use std::task::{Context as TaskContext, Poll};

use tokio::time::Instant;
use tracing::Span;

use super::foreach::{Each, Elements};
use super::inputs::Inputs;
use super::large::Fitting;
use super::step::{CallScope, Values};
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::guard::{Pending, Question, ReplySlots, Time};
use crate::plan::{Binding, Step};
use crate::timeline::Fate;

/// The result of starting a step.
pub(super) enum Start<'a> {
    /// It does not run.
    Settled(Fate),
    /// It can't be asked with its inputs.
    Unusable(LookupError),
    /// It asks.
    Asks(Asks<'a>),
}

/// What a step asks.
pub(super) enum Asks<'a> {
    /// One question.
    One(Question<'a>),
    /// One question per element. They are asked already.
    Each(Elements<'a>),
    /// Once its large inputs are copied.
    Later(Inputs<'a>),
}

/// A step under way.
pub(super) enum UnderWay<'a> {
    One(Pending<'a>),
    /// A `foreach`.
    Each(Box<Elements<'a>>),
    /// Its inputs are being copied.
    Copying(Inputs<'a>),
    /// Its answer is there, and is large.
    Fitting(Box<Fitting>),
}

impl Step {
    /// The time of its questions, if it starts `now` in a call with this deadline and is the one at `at`.
    #[inline]
    pub(super) fn time(&self, at: usize, now: Instant, call_deadline: Instant) -> Time {
        let own = self.timeout.and_then(|timeout| now.checked_add(timeout));
        Time {
            asked: now,
            deadline: own.map_or(call_deadline, |own| own.min(call_deadline)),
            allowed: self.allowed,
            step: u32::try_from(at).unwrap_or(u32::MAX),
        }
    }

    /// Decides whether the step runs, and binds its inputs. `time` is that of its questions.
    #[inline]
    pub(super) fn start<'a>(
        &'a self,
        scope: CallScope<'a>,
        values: &Values,
        time: Time,
    ) -> Start<'a> {
        if let Some(when) = &self.when
            && !scope.holds(when, values)
        {
            return Start::Settled(Fate::Skipped);
        }
        let mut references = self.bindings.iter().filter_map(Binding::reference);
        if references
            .any(|reference| reference.is_lookup() && scope.get(reference, values, None).is_none())
        {
            return Start::Settled(Fate::SkippedDependency);
        }
        if let Some(foreach) = &self.foreach {
            return match self.start_each(foreach, scope, values, time) {
                Ok(Some(Each::Asked(elements))) => Start::Asks(Asks::Each(elements)),
                Ok(Some(Each::Later(inputs))) => Start::Asks(Asks::Later(inputs)),
                Ok(None) => Start::Settled(Fate::SkippedDependency),
                Err(err) => Start::Unusable(err),
            };
        }
        Start::Asks(if self.has_large_inputs(scope, values) {
            Asks::Later(self.copy_inputs(scope, values, time))
        } else {
            Asks::One(self.question(scope, values, time))
        })
    }
}

impl UnderWay<'_> {
    /// Whether it is one question that travels in a batch.
    pub(super) fn is_batched(&self) -> bool {
        matches!(self, UnderWay::One(pending) if pending.is_batched())
    }

    /// When its answer is no longer useful.
    #[inline]
    pub(super) fn deadline(&self) -> Instant {
        match self {
            UnderWay::One(pending) => pending.deadline(),
            UnderWay::Each(elements) => elements.deadline(),
            UnderWay::Copying(inputs) => inputs.time.deadline,
            UnderWay::Fitting(fitting) => fitting.deadline,
        }
    }

    /// The answer of `step` once it has arrived. `span` is the step's.
    pub(super) fn poll(
        &mut self,
        step: &Step,
        slots: &ReplySlots,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        match self {
            UnderWay::One(pending) => pending.poll(slots, span, cx),
            UnderWay::Each(elements) => elements.poll(step, span, cx),
            UnderWay::Copying(_) | UnderWay::Fitting(_) => Poll::Pending,
        }
    }

    /// The first failure that the default covers within the answer.
    pub(super) fn covered(&self) -> Option<Code> {
        match self {
            UnderWay::One(_) | UnderWay::Copying(_) => None,
            UnderWay::Each(elements) => elements.covered(),
            UnderWay::Fitting(fitting) => fitting.covered,
        }
    }

    /// Ends what is still open because the deadline has passed: with an answer that a guard had nevertheless, or with the error
    /// that says which deadline.
    pub(super) fn time_out(
        &mut self,
        step: &Step,
        slots: &ReplySlots,
    ) -> Result<Answer, LookupError> {
        match self {
            UnderWay::One(pending) => pending.time_out(slots),
            UnderWay::Each(elements) => elements.time_out(step),
            UnderWay::Copying(_) => {
                let detail = "its large parameters were not copied in time";
                Err(LookupError::new(Code::LookupTimeout, detail))
            }
            UnderWay::Fitting(_) => {
                let detail = "its large answer was not converted in time";
                Err(LookupError::new(Code::LookupTimeout, detail))
            }
        }
    }

    /// Ends what is still open because the call ends.
    pub(super) fn cancel(&mut self, slots: &ReplySlots) {
        match self {
            UnderWay::One(pending) => pending.cancel(slots),
            UnderWay::Each(elements) => elements.cancel(),
            UnderWay::Copying(_) | UnderWay::Fitting(_) => {}
        }
    }
}
