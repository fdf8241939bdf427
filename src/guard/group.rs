//! Asks several questions together, such as the elements of a `foreach`.
//!
//! Each is a separate question to the guards. The questions that travel in batches share one set of reply slots. Of the
//! others, a small number is always polled; more of them are polled only when they are woken.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tracing::Span;

use super::guards::Guards;
use super::pending::{Pending, Progress};
use super::question::{Question, late};
use super::reply_slots::ReplySlots;
use crate::backend::{Answer, LookupError};
use crate::context::Context;
use crate::coop::after_sockets;

/// Up to this number of questions that travel alone are polled whenever the group is.
const POLLED_TOGETHER_MAX: usize = 30;
/// So many of the others are polled before the loop polls its sockets: each may have to make a request, or to read its answer.
const POLLED_AT_ONCE: usize = 64;

/// Questions that are asked together, with one deadline.
pub struct Group<'a> {
    context: &'a Context,
    deadline: Instant,
    answers: Vec<Option<Result<Answer, LookupError>>>,
    /// The questions that are polled whenever the group is, with the positions of their answers.
    together: Vec<(usize, Pending<'a>)>,
    /// The questions that are polled when they are woken.
    apart: Option<FuturesUnordered<Apart<'a>>>,
    left: Rc<Cell<usize>>,
    slots: ReplySlots,
}

/// A question that is polled when it is woken.
struct Apart<'a> {
    asked: Option<(usize, Pending<'a>)>,
    /// How many may still be polled now.
    left: Rc<Cell<usize>>,
}

impl Guards {
    /// Asks all `questions`, which are of the same call and have the same `deadline`.
    pub fn ask_all<'a>(
        &'a self,
        questions: impl ExactSizeIterator<Item = Question<'a>>,
        (context, deadline): (&'a Context, Instant),
    ) -> Group<'a> {
        let mut group = Group {
            context,
            deadline,
            answers: Vec::with_capacity(questions.len()),
            together: Vec::new(),
            apart: None,
            left: Rc::default(),
            slots: ReplySlots::with_capacity(questions.len()),
        };
        let mut alone = 0;
        for (at, question) in questions.enumerate() {
            let mut pending = self.prepare(question);
            let answer = pending.ask(&group.slots);
            if answer.is_none() {
                alone += usize::from(!pending.is_batched());
                group.together.push((at, pending));
            }
            group.answers.push(answer);
        }
        if alone > POLLED_TOGETHER_MAX {
            let alone = group
                .together
                .extract_if(.., |(_, pending)| !pending.is_batched());
            let left = &group.left;
            group.apart = Some(alone.map(|alone| Apart::new(alone, left)).collect());
        }
        group
    }
}

impl<'a> Group<'a> {
    /// How many questions it asks.
    pub fn count(&self) -> usize {
        self.answers.len()
    }

    /// When the answers are no longer useful.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// All answers, in the order of the questions, once the last one has arrived. As in [`Pending::poll`], only the stores
    /// work within `span`.
    pub fn poll(
        &mut self,
        span: Option<&Span>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Vec<Result<Answer, LookupError>>> {
        self.slots.watch(cx);
        if let Some(apart) = &mut self.apart {
            self.left.set(POLLED_AT_ONCE);
            while let Poll::Ready(Some((at, mut pending, progress))) = next(apart, span, cx) {
                match pending.proceed(progress, &self.slots) {
                    Some(answer) => self.answers[at] = Some(answer),
                    None if pending.is_batched() => self.together.push((at, pending)),
                    None => apart.push(Apart::new((at, pending), &self.left)),
                }
            }
        }
        let (slots, answers) = (&self.slots, &mut self.answers);
        let mut queued = false;
        self.together
            .retain_mut(|(at, pending)| match pending.poll(slots, span, cx) {
                Poll::Ready(answer) => {
                    answers[*at] = Some(answer);
                    false
                }
                Poll::Pending => {
                    queued |= pending.is_queued(slots);
                    true
                }
            });
        if queued && self.deadline <= Instant::now() {
            // The others may still succeed: questions that were sent and answered keep their answers.
            self.give_up_queued();
        }
        let apart = self.apart.as_ref().map_or(0, FuturesUnordered::len);
        if apart + self.together.len() > 0 {
            return Poll::Pending;
        }
        let answers = std::mem::take(&mut self.answers);
        Poll::Ready(answers.into_iter().flatten().collect())
    }

    /// Ends the questions that were not sent in time.
    fn give_up_queued(&mut self) {
        let (slots, answers) = (&self.slots, &mut self.answers);
        self.together.retain_mut(|(at, pending)| {
            let queued = pending.is_queued(slots);
            if queued {
                answers[*at] = Some(pending.time_out(slots));
            }
            !queued
        });
    }

    /// Ends the questions without an answer because the deadline has passed. Returns the answers if guards had one for each
    /// of these, and otherwise the error of the group.
    pub fn time_out(&mut self) -> Result<Vec<Result<Answer, LookupError>>, LookupError> {
        let mut is_late = false;
        self.end(|pending, slots| {
            let answer = pending.time_out(slots);
            is_late |= answer.is_err();
            Some(answer)
        });
        if is_late {
            return Err(late(self.deadline, self.context));
        }
        let answers = std::mem::take(&mut self.answers);
        Ok(answers.into_iter().flatten().collect())
    }

    /// Ends the questions without an answer because the call ends.
    pub fn cancel(&mut self) {
        self.end(|pending, slots| {
            pending.cancel(slots);
            None
        });
    }

    fn end(
        &mut self,
        mut how: impl FnMut(&mut Pending<'a>, &ReplySlots) -> Option<Result<Answer, LookupError>>,
    ) {
        let together = self.together.iter_mut();
        let apart = self.apart.iter_mut().flat_map(FuturesUnordered::iter_mut);
        let apart = apart.filter_map(|apart| apart.asked.as_mut());
        for (at, pending) in together.chain(apart) {
            self.answers[*at] = how(pending, &self.slots);
        }
        self.together.clear();
        self.apart = None;
    }
}

/// The next of `apart` that was woken.
fn next<'a>(
    apart: &mut FuturesUnordered<Apart<'a>>,
    span: Option<&Span>,
    cx: &mut TaskContext<'_>,
) -> Poll<Option<(usize, Pending<'a>, Progress)>> {
    let _entered = span.map(Span::enter);
    apart.poll_next_unpin(cx)
}

impl<'a> Apart<'a> {
    fn new(asked: (usize, Pending<'a>), left: &Rc<Cell<usize>>) -> Self {
        Apart {
            asked: Some(asked),
            left: Rc::clone(left),
        }
    }
}

impl<'a> Future for Apart<'a> {
    type Output = (usize, Pending<'a>, Progress);

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Some(left) = self.left.get().checked_sub(1) else {
            after_sockets(cx);
            return Poll::Pending;
        };
        self.left.set(left);
        let Some((at, mut pending)) = self.asked.take() else {
            return Poll::Pending;
        };
        match pending.poll_future(cx) {
            Poll::Ready(progress) => Poll::Ready((at, pending, progress)),
            Poll::Pending => {
                self.asked = Some((at, pending));
                Poll::Pending
            }
        }
    }
}
