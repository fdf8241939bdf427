//! Starts a step: decides whether it runs, and asks its question or those of its elements.
//!
//! Nothing here waits; [`super::run`] decides when.

use std::task::{Context as TaskContext, Poll};

use tokio::time::Instant;
use tracing::Span;

use super::foreach::Elements;
use super::step::{CallScope, Values};
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::guard::{Asking, Pending, ReplySlots};
use crate::plan::{Binding, Step};
use crate::timeline::Fate;

/// The result of starting a step.
pub(super) enum Start<'a> {
    /// It does not run.
    Settled(Fate),
    /// It can't be asked with its inputs.
    Unusable(LookupError),
    /// It was answered immediately.
    Answered(Result<Answer, LookupError>),
    /// It is under way.
    Asked(Asked<'a>),
}

/// A step under way.
pub(super) enum Asked<'a> {
    One(Pending<'a>),
    /// A `foreach`.
    Each(Box<Elements<'a>>),
}

impl Step {
    /// Decides whether the step runs, binds its inputs and asks its question until `deadline`.
    pub(super) fn start<'a>(
        &'a self,
        scope: CallScope<'a>,
        values: &Values,
        deadline: Instant,
        slots: &ReplySlots,
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
            return match self.ask_each(foreach, scope, values, deadline) {
                Ok(Some(elements)) => Start::Asked(Asked::Each(Box::new(elements))),
                Ok(None) => Start::Settled(Fate::SkippedDependency),
                Err(err) => Start::Unusable(err),
            };
        }
        let question = self.question(scope, values, None, deadline);
        match scope.guards.ask(question, slots) {
            Asking::Ready(answer) => Start::Answered(answer),
            Asking::Pending(pending) => Start::Asked(Asked::One(pending)),
        }
    }
}

impl Asked<'_> {
    /// The answer of `step` once it has arrived. `span` is the step's.
    pub(super) fn poll(
        &mut self,
        step: &Step,
        slots: &ReplySlots,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        match self {
            Asked::One(pending) => pending.poll(slots, span, cx),
            Asked::Each(elements) => elements.poll(step, span, cx),
        }
    }

    /// The first failure that the default covers within the answer.
    pub(super) fn covered(&self) -> Option<Code> {
        match self {
            Asked::One(_) => None,
            Asked::Each(elements) => elements.covered(),
        }
    }

    /// Ends what is still open because the deadline has passed.
    pub(super) fn time_out(&mut self, slots: &ReplySlots) -> LookupError {
        match self {
            Asked::One(pending) => pending.time_out(slots),
            Asked::Each(elements) => elements.time_out(),
        }
    }

    /// Ends what is still open because the call ends.
    pub(super) fn cancel(&mut self, slots: &ReplySlots) {
        match self {
            Asked::One(pending) => pending.cancel(slots),
            Asked::Each(elements) => elements.cancel(),
        }
    }
}
