//! Asks several questions together, such as the elements of a `foreach`.
//!
//! Each is a separate question to the guards. The questions that travel in batches share one set of reply slots. Of the
//! others, a small number is always polled; more of them are polled only when they are woken.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

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
/// If they took less time, so many more are polled. Answers from memory take less, and a call that gets all of its own at once is
/// over before the next one begins: calls under way together cost more, because they displace each other from the processor's cache.
const LITTLE: Duration = Duration::from_micros(200);

/// Questions that are asked together, with one deadline.
pub struct Group<'a> {
    context: &'a Context,
    deadline: Instant,
    answers: Vec<Option<Result<Answer, LookupError>>>,
    /// The questions that are polled whenever the group is, with the positions of their answers.
    together: Vec<(usize, Pending<'a>)>,
    /// The questions that are polled when they are woken.
    apart: Option<FuturesUnordered<Apart<'a>>>,
    polls: Rc<Polls>,
    slots: ReplySlots,
}

/// A question that is polled when it is woken.
struct Apart<'a> {
    asked: Option<(usize, Pending<'a>)>,
    polls: Rc<Polls>,
}

/// How many questions may still be polled before the loop polls its sockets.
struct Polls {
    left: Cell<usize>,
    since: Cell<Instant>,
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
            polls: Rc::new(Polls::new()),
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
            let polls = &group.polls;
            group.apart = Some(alone.map(|alone| Apart::new(alone, polls)).collect());
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
            self.polls.begin();
            while let Poll::Ready(Some((at, mut pending, progress))) = next(apart, span, cx) {
                match pending.proceed(progress, &self.slots) {
                    Some(answer) => self.answers[at] = Some(answer),
                    None if pending.is_batched() => self.together.push((at, pending)),
                    None => apart.push(Apart::new((at, pending), &self.polls)),
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
    fn new(asked: (usize, Pending<'a>), polls: &Rc<Polls>) -> Self {
        Apart {
            asked: Some(asked),
            polls: Rc::clone(polls),
        }
    }
}

impl Polls {
    fn new() -> Self {
        Polls {
            left: Cell::new(0),
            since: Cell::new(Instant::now()),
        }
    }

    /// The loop has polled its sockets.
    fn begin(&self) {
        self.left.set(POLLED_AT_ONCE);
        self.since.set(Instant::now());
    }

    /// Whether one more may be polled.
    fn take(&self) -> bool {
        if self.left.get() == 0 {
            let now = Instant::now();
            let took = now.saturating_duration_since(self.since.get());
            if took >= LITTLE {
                return false;
            }
            self.left.set(POLLED_AT_ONCE);
        }
        self.left.set(self.left.get() - 1);
        true
    }
}

impl<'a> Future for Apart<'a> {
    type Output = (usize, Pending<'a>, Progress);

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if !self.polls.take() {
            after_sockets(cx);
            return Poll::Pending;
        }
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
