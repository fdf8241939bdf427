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
use super::permit::{in_line, not_sent};
use super::question::Question;
use super::reply_slots::{ReplySlots, SlotId};
use super::sending;
use super::trickle::{Slow, Trickle, Way};
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
    /// It is no longer held back; this says how slowly its answer arrives.
    Released(Option<Trickle>),
    /// It has its answer.
    Answer(Result<Answer, LookupError>),
}

impl<'a> Pending<'a> {
    /// A question that is not asked yet.
    #[inline]
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
    #[inline]
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
    #[inline]
    pub fn deadline(&self) -> Instant {
        self.question.deadline
    }

    /// Whether it travels in a batch, so that polling it only checks its slot.
    pub fn is_batched(&self) -> bool {
        match &self.stage {
            Stage::Batched(_) => true,
            Stage::Slow(slow) => slow.slot().is_some(),
            _ => false,
        }
    }

    /// The slot where its answer arrives, if it travels in a batch.
    fn slot(&self) -> Option<SlotId> {
        match &self.stage {
            Stage::Batched(slot) => Some(*slot),
            Stage::Slow(slow) => slow.slot(),
            _ => None,
        }
    }

    /// Whether nothing has to be dropped of it: it travels in a batch, or is not asked, with a parameter of the call.
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(self.stage, Stage::Batched(_) | Stage::New)
            && matches!(self.question.params, Params::OfCall(..))
    }

    /// How far it has come on its way to its store.
    pub(super) fn sending(&self, slots: &ReplySlots) -> sending::Progress {
        if let Some(slot) = self.slot() {
            return sending::Progress::Batched(slots.probe(slot));
        }
        match &self.stage {
            Stage::New | Stage::Held(_) => sending::Progress::Unsent,
            Stage::Slow(slow) if matches!(slow.way, Way::Held(_)) => sending::Progress::Unsent,
            _ => sending::Progress::Alone,
        }
    }

    /// Whether it waits to be sent to its store in a batch.
    pub(super) fn is_queued(&self, slots: &ReplySlots) -> bool {
        self.slot().is_some_and(|slot| slots.is_queued(slot))
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
        let Stage::Batched(slot) = self.stage else {
            return self.poll_alone(slots, span, cx);
        };
        // The answer stays where the slot puts it: to move it would cost more.
        let answer = slots.take(slot);
        if let Poll::Ready(ready) = &answer {
            if is_undecoded(ready) {
                return self.decode(answer, slots, span, cx);
            }
            self.end(ready.into());
        }
        answer
    }

    /// Decodes an answer, which takes long.
    #[cold]
    fn decode(
        &mut self,
        answer: Poll<Result<Answer, LookupError>>,
        slots: &ReplySlots,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        let _none = self.proceed(Progress::Answer(ready!(answer)), slots);
        self.poll_alone(slots, span, cx)
    }

    fn poll_alone(
        &mut self,
        slots: &ReplySlots,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Answer, LookupError>> {
        loop {
            let progress = if let Some(slot) = self.slot() {
                slots.take(slot).map(Progress::Answer)
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
        let hold = match &mut self.stage {
            Stage::New | Stage::Batched(_) => return Poll::Pending,
            Stage::Alone(alone) => return alone.as_mut().poll(cx).map(Progress::Answer),
            Stage::Held(hold) => hold,
            Stage::Slow(slow) => match &mut slow.way {
                Way::Batched(_) => return Poll::Pending,
                Way::Alone(answer) | Way::Arrives(answer) => {
                    return answer.as_mut().poll(cx).map(Progress::Answer);
                }
                Way::Held(hold) => hold,
            },
        };
        hold.as_mut().poll(cx).map(|held| match held {
            Ok(trickle) => Progress::Released(trickle),
            Err(err) => Progress::Answer(Err(err)),
        })
    }

    /// Takes a question that is no longer held back further inward, and an answer outward once it is decoded.
    pub(super) fn proceed(
        &mut self,
        progress: Progress,
        slots: &ReplySlots,
    ) -> Option<Result<Answer, LookupError>> {
        match progress {
            Progress::Answer(Ok(answer)) if answer.is_undecoded() => {
                let decoded = Box::pin(answer.decoded());
                match &mut self.stage {
                    Stage::Slow(slow) => slow.way = Way::Alone(decoded),
                    stage => *stage = Stage::Alone(decoded),
                }
                None
            }
            Progress::Answer(answer) => {
                let slow = match &self.stage {
                    Stage::Slow(slow) if !matches!(slow.way, Way::Arrives(_)) => {
                        Some((slow.trickle, slow.place))
                    }
                    _ => None,
                };
                match slow {
                    None => Some(self.answered(answer)),
                    Some((trickle, place)) => self.slow_down(answer, trickle, place),
                }
            }
            Progress::Released(trickle) => {
                let slow = match (&self.stage, trickle) {
                    (Stage::Slow(slow), inside) => Some((slow.trickle.and(inside), slow.place)),
                    (_, Some(trickle)) => Some((trickle, self.passed)),
                    (_, None) => None,
                };
                match slow {
                    None => self.go_inward(self.passed + 1, slots),
                    Some((trickle, place)) => self.go_inward_slowly(trickle, place, slots),
                }
            }
        }
    }

    /// Goes inward for an answer that arrives slowly because of the guard at `place`.
    #[cold]
    fn go_inward_slowly(
        &mut self,
        trickle: Trickle,
        place: u8,
        slots: &ReplySlots,
    ) -> Option<Result<Answer, LookupError>> {
        let (passed, reached) = self.stores.ask(self.passed + 1, &self.question, slots);
        self.passed = passed;
        match reached {
            Reached::Stage(stage) => {
                self.stage = stage.slowed(trickle, place);
                None
            }
            Reached::Answer(answer) => self.slow_down(answer, trickle, place),
        }
    }

    /// The store has answered. The guards inside of `place` hear that now; the asker gets it once it has arrived.
    #[cold]
    fn slow_down(
        &mut self,
        answer: Result<Answer, LookupError>,
        trickle: Trickle,
        place: u8,
    ) -> Option<Result<Answer, LookupError>> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(err) => return Some(self.answered(Err(err))),
        };
        let inside = place + 1..self.passed;
        let outcome = Outcome::Answered(&answer);
        self.stores.ended(inside, &self.question, outcome);
        self.passed = place + 1;
        let way = Way::Arrives(Box::pin(trickle.deliver(answer)));
        self.stage = Stage::Slow(Box::new(Slow {
            trickle,
            place,
            way,
        }));
        None
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
        // No guard holds an answer that arrives slowly.
        let is_slow = matches!(self.stage, Stage::Slow(_));
        if !is_slow && let Some(answer) = self.stores.late(self.passed, &self.question) {
            self.abandon(slots);
            return self.answered(Ok(answer));
        }
        let err = if self.is_queued(slots) {
            not_sent()
        } else {
            self.never_sent().unwrap_or_else(|| self.given_up())
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

    /// The error of a question whose store has not answered. Drops what travels alone, to hear whether it was sent, and where.
    fn given_up(&mut self) -> LookupError {
        let late = self.question.late();
        if !matches!(self.stage, Stage::Alone(_)) {
            return late;
        }
        let given_up = &self.stores.stores.given_up;
        let known = given_up.by(|| self.stage = Stage::New);
        let err = if known.in_line { in_line() } else { late };
        err.of_endpoints(known.endpoints)
    }

    /// Ends the question because the call ends.
    pub fn cancel(&mut self, slots: &ReplySlots) {
        self.abandon(slots);
        self.end(Outcome::Cancelled);
    }

    fn abandon(&self, slots: &ReplySlots) {
        if let Some(slot) = self.slot() {
            slots.abandon(slot);
        }
    }

    fn end(&self, outcome: Outcome<'_>) {
        let passed = self.outside..self.passed;
        self.stores.ended(passed, &self.question, outcome);
    }
}

fn is_undecoded(answer: &Result<Answer, LookupError>) -> bool {
    matches!(answer, Ok(answer) if answer.is_undecoded())
}
