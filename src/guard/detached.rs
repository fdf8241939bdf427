//! Asks questions that belong to no call, for the guards outside of them.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, timeout_at};

use super::chain::{Detached, Inside};
use super::guarded_stores::GuardedStores;
use super::params::Params;
use super::pending::Pending;
use super::question::Question;
use super::reply_slots::ReplySlots;
use super::sending::{Progress, Sending};
use crate::backend::{Answer, LookupError};
use crate::plan::LookupId;

impl Inside for GuardedStores {
    fn ask(
        self: Rc<Self>,
        question: Detached,
    ) -> LocalBoxFuture<'static, Result<Answer, LookupError>> {
        Box::pin(async move {
            let Detached {
                lookup,
                params,
                context,
                step,
                deadline,
                outside,
                sending,
            } = question;
            let asked = Instant::now();
            let question = Question {
                lookup,
                params: Params::Own(params),
                context: &context,
                asked,
                deadline,
                allowed: deadline.saturating_duration_since(asked).into(),
                step,
            };
            let slots = ReplySlots::with_capacity(1);
            let pending = Pending::new(&self, question, outside);
            ask(pending, &slots, &sending).await
        })
    }

    fn log(&self, lookup: LookupId, err: &LookupError) {
        self.chain.failure_log.log(lookup, err);
    }
}

/// Asks until the deadline of the question.
async fn ask(
    pending: Pending<'_>,
    slots: &ReplySlots,
    sending: &Sending,
) -> Result<Answer, LookupError> {
    let deadline = pending.deadline();
    let mut open = Open {
        pending: Some(pending),
        slots,
    };
    sending.set(Progress::Unsent);
    if let Some(answer) = open.ask() {
        return answer;
    }
    let answer = poll_fn(|cx| {
        let polled = open.poll(cx);
        if let Some(pending) = &open.pending {
            sending.set(pending.sending(slots));
        }
        polled
    });
    match timeout_at(deadline, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => open.time_out(),
    }
}

/// A question that is cancelled when this is dropped before its end.
struct Open<'a, 's> {
    pending: Option<Pending<'a>>,
    slots: &'s ReplySlots,
}

impl Open<'_, '_> {
    fn ask(&mut self) -> Option<Result<Answer, LookupError>> {
        let answer = self.pending.as_mut()?.ask(self.slots)?;
        self.pending = None;
        Some(answer)
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Answer, LookupError>> {
        let Some(pending) = &mut self.pending else {
            return Poll::Pending;
        };
        self.slots.watch(cx);
        let polled = pending.poll(self.slots, None, cx);
        if polled.is_ready() {
            self.pending = None;
        }
        polled
    }

    fn time_out(&mut self) -> Result<Answer, LookupError> {
        let pending = self.pending.take();
        let mut pending = pending.expect("it has no outcome yet");
        pending.time_out(self.slots)
    }
}

impl Drop for Open<'_, '_> {
    fn drop(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.cancel(self.slots);
        }
    }
}
