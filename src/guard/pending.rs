//! The asker's handle to a question.
//!
//! The asker makes it where it is to stay, asks, and polls it until it is answered, or ends it. Either way the question has
//! exactly one outcome, which every guard that let it pass receives.

use std::task::{Context as TaskContext, Poll, Waker, ready};

use tokio::time::Instant;
use tracing::Span;

use super::chain::Outcome;
use super::guarded_stores::{GuardedStores, Reached, Stage};
use super::params::Params;
use super::permit::not_sent;
use super::question::Question;
use super::reply_slots::ReplySlots;
use super::sending;
use crate::backend::{Answer, LookupError};
use crate::error::Code;

/// A question on its way, once [`Pending::ask`] was called. An asker that stops waiting for the answer has to say why: with
/// [`Pending::time_out`] or [`Pending::cancel`].
#[must_use]
pub struct Pending<'a> {
    stores: &'a GuardedStores,
    question: Question<'a>,
    /// How many guards are outside of where it was asked.
    outside: u8,
    /// How many guards have let it pass, those outside included.
    passed: u8,
    stage: Stage<'a>,
}

/// Progress of a pending question.
pub(super) enum Progress {
    /// It is no longer held back.
    Released,
    /// It has its answer.
    Answer(Result<Answer, LookupError>),
}

impl<'a> Pending<'a> {
    /// A question that is not asked yet.
    pub(super) fn new(stores: &'a GuardedStores, question: Question<'a>, outside: u8) -> Self {
        Pending {
            stores,
            question,
            outside,
            passed: outside,
            stage: Stage::New,
        }
    }

    /// Asks the question. `Some` is its answer if there was one immediately: the store was not needed, or the question
    /// could not be asked. If the question travels with others, its answer arrives in one of `slots`; the asker watches
    /// them.
    pub fn ask(&mut self, slots: &ReplySlots) -> Option<Result<Answer, LookupError>> {
        self.go_inward(self.outside, slots)
    }

    /// Goes inward, past the first `skip` guards. An answer ends the question.
    #[inline]
    fn go_inward(&mut self, skip: u8, slots: &ReplySlots) -> Option<Result<Answer, LookupError>> {
        let (passed, reached) = self.stores.ask(skip, &self.question, slots);
        self.passed = passed;
        match reached {
            Reached::Stage(stage) => {
                let before = std::mem::replace(&mut self.stage, stage);
                if let Stage::New = before {
                    // The usual case needs no drop; this skips the call to it.
                    std::mem::forget(before);
                }
                None
            }
            Reached::Answer(answer) => Some(self.answered(answer)),
        }
    }

    /// When the answer is no longer useful.
    pub(super) fn deadline(&self) -> Instant {
        self.question.deadline
    }

    /// Whether it travels in a batch, so that polling it only checks its slot.
    pub fn is_batched(&self) -> bool {
        matches!(self.stage, Stage::Batched(_))
    }

    /// Whether nothing has to be dropped of it: it travels in a batch, or is not asked, with a parameter of the call.
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(self.stage, Stage::Batched(_) | Stage::New)
            && matches!(self.question.params, Params::OfCall(..))
    }

    /// How far it has come on its way to its store.
    pub(super) fn sending(&self, slots: &ReplySlots) -> sending::Progress {
        match self.stage {
            Stage::New | Stage::Held(_) => sending::Progress::Unsent,
            Stage::Batched(slot) => sending::Progress::Batched(slots.probe(slot)),
            Stage::Alone(_) => sending::Progress::Alone,
        }
    }

    /// Whether it waits to be sent to its store in a batch.
    pub(super) fn is_queued(&self, slots: &ReplySlots) -> bool {
        matches!(self.stage, Stage::Batched(slot) if slots.is_queued(slot))
    }

    /// The answer once it has arrived. `slots` are those it was asked with; the asker watches them. The store's own work
    /// happens within `span`, the guards' work does not.
    #[inline]
    pub fn poll(
        &mut self,
        slots: &ReplySlots,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        if let Stage::Batched(slot) = self.stage {
            let Some(answer) = slots.take(slot) else {
                return Poll::Pending;
            };
            if !is_undecoded(&answer) {
                self.end((&answer).into());
                return Poll::Ready(answer);
            }
            let _none = self.proceed(Progress::Answer(answer), slots);
        }
        self.poll_alone(slots, span, cx)
    }

    fn poll_alone(
        &mut self,
        slots: &ReplySlots,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        loop {
            let progress = if let Stage::Batched(slot) = self.stage {
                slots
                    .take(slot)
                    .map_or(Poll::Pending, Poll::Ready)
                    .map(Progress::Answer)
            } else {
                let _entered = span.map(Span::enter);
                self.poll_future(cx)
            };
            if let Some(answer) = self.proceed(ready!(progress), slots) {
                return Poll::Ready(answer);
            }
        }
    }

    /// Polls what the question waits for, without notifying any guard.
    pub(super) fn poll_future(&mut self, cx: &mut TaskContext<'_>) -> Poll<Progress> {
        match &mut self.stage {
            Stage::New | Stage::Batched(_) => Poll::Pending,
            Stage::Alone(alone) => alone.as_mut().poll(cx).map(Progress::Answer),
            Stage::Held(hold) => hold.as_mut().poll(cx).map(|held| match held {
                Ok(()) => Progress::Released,
                Err(err) => Progress::Answer(Err(err)),
            }),
        }
    }

    /// Takes a question that is no longer held back further inward, and an answer outward once it is decoded.
    pub(super) fn proceed(
        &mut self,
        progress: Progress,
        slots: &ReplySlots,
    ) -> Option<Result<Answer, LookupError>> {
        match progress {
            Progress::Answer(Ok(answer)) if answer.undecoded.is_some() => {
                self.stage = Stage::Alone(Box::pin(answer.decoded()));
                None
            }
            Progress::Answer(answer) => Some(self.answered(answer)),
            Progress::Released => self.go_inward(self.passed + 1, slots),
        }
    }

    /// Tells the guards the answer.
    #[inline]
    fn answered(&self, answer: Result<Answer, LookupError>) -> Result<Answer, LookupError> {
        self.end((&answer).into());
        answer
    }

    /// Ends the question because its deadline has passed: with the answer of a guard, or with the error that says which
    /// deadline.
    pub fn time_out(&mut self, slots: &ReplySlots) -> Result<Answer, LookupError> {
        if let Some(answer) = self.stores.late(self.passed, &self.question) {
            self.abandon(slots);
            return self.answered(Ok(answer));
        }
        let err = if self.is_queued(slots) {
            not_sent()
        } else {
            self.never_sent().unwrap_or_else(|| self.question.late())
        };
        self.abandon(slots);
        self.answered(Err(err))
    }

    /// The error of a question that has waited for a permit until its deadline, which is the same as that of its asker.
    fn never_sent(&mut self) -> Option<LookupError> {
        let mut cx = TaskContext::from_waker(Waker::noop());
        match self.poll_future(&mut cx) {
            Poll::Ready(Progress::Answer(Err(err))) if err.code == Code::LookupTimeoutPool => {
                Some(err)
            }
            _ => None,
        }
    }

    /// Ends the question because the call ends.
    pub fn cancel(&mut self, slots: &ReplySlots) {
        self.abandon(slots);
        self.end(Outcome::Cancelled);
    }

    fn abandon(&self, slots: &ReplySlots) {
        if let Stage::Batched(slot) = self.stage {
            slots.abandon(slot);
        }
    }

    fn end(&self, outcome: Outcome<'_>) {
        let passed = self.outside..self.passed;
        self.stores.ended(passed, &self.question, outcome);
    }
}

fn is_undecoded(answer: &Result<Answer, LookupError>) -> bool {
    matches!(answer, Ok(answer) if answer.undecoded.is_some())
}
