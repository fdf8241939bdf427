//! Asks a question for all calls that wait for it, to its end: keeps the answer, and gives it to each of them.
//!
//! No call owns the question, so none can end it. It has as much time as the lookup gets from any view. If that passes while
//! calls wait that joined later and have time left, the store is asked again for them: a call only ever gets an outcome of
//! the store's, never one that another call's deadline made.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::answer::SharedAnswer;
use super::entries::Kept;
use super::flight::{Flight, Landed, LandedAnswer};
use super::key::Key;
use super::of_lookup::{AskedFor, OfLookup, Refresh};
use crate::backend::{Answer, Keys, LookupError, StoreMemory};
use crate::context::Context;
use crate::error::Code;
use crate::guard::chain::{Detached, Inside};
use crate::metrics::Refreshed;
use crate::plan::LookupId;

/// How often a question under way finds out whether anybody still waits for it.
const STILL_WANTED: Duration = Duration::from_millis(50);

/// A question for several calls.
pub(super) struct Asking {
    pub(super) of_lookup: Rc<OfLookup>,
    pub(super) flight: Rc<Flight>,
    pub(super) key: Key,
    /// What its answer depends on, if the store says when it is no longer right.
    pub(super) keys: Option<Keys>,
    pub(super) lookup: LookupId,
    /// That of the first call.
    pub(super) context: Context,
    /// The index in its view of the lookup of the first call.
    pub(super) step: u32,
    /// How much time the lookup gets from any view.
    pub(super) budget: Duration,
    /// How many guards are outside of the question.
    pub(super) outside: u8,
    pub(super) inside: Rc<dyn Inside>,
    pub(super) memory: StoreMemory,
    /// Permission to go on if no call waits.
    pub(super) refresh: Option<Refresh>,
}

/// The outcome of one attempt.
enum Attempt {
    Ended(Result<Answer, LookupError>),
    /// It had all the time that the lookup gets.
    Late(LookupError),
    Unwanted,
}

impl Asking {
    /// Asks, until there is an outcome or no call waits for one.
    pub(super) async fn run(self) {
        loop {
            let asked = self.of_lookup.asks(self.keys.as_ref());
            self.flight.asks(asked.stamp.as_ref());
            match self.attempt(asked.at).await {
                Attempt::Ended(Ok(answer)) => return self.answered(answer, &asked).await,
                Attempt::Late(_) if self.flight.is_wanted(Instant::now()) => {}
                Attempt::Ended(Err(err)) | Attempt::Late(err) => return self.failed(err).await,
                Attempt::Unwanted => return,
            }
        }
    }

    async fn attempt(&self, asked: Instant) -> Attempt {
        let deadline = asked + self.budget;
        let mut asking = Rc::clone(&self.inside).ask(Detached {
            lookup: self.lookup,
            params: Rc::clone(self.key.params()),
            context: Context {
                // The budget of the question is the lookup's own: when it is over, the lookup is late, not a call.
                deadline: deadline + self.budget,
                ..self.context.clone()
            },
            step: self.step,
            deadline,
            outside: self.outside,
            sending: Rc::clone(self.flight.sending()),
        });
        loop {
            match timeout_at(Instant::now() + STILL_WANTED, &mut asking).await {
                Ok(Err(err)) if is_of_time(&err) && Instant::now() >= deadline => {
                    return Attempt::Late(err);
                }
                Ok(answer) => return Attempt::Ended(answer),
                Err(_elapsed) if self.refresh.is_some() => {}
                // Even if its time has just passed: it ends by itself then, and an end of the question would fail it.
                Err(_elapsed) if self.flight.is_awaited() => {}
                Err(_elapsed) => return Attempt::Unwanted,
            }
        }
    }

    async fn answered(&self, mut answer: Answer, asked: &AskedFor) {
        let kept = self.of_lookup.copy(&mut answer).await;
        match &kept {
            Some(kept) => self.of_lookup.keep(&self.key, kept.clone(), asked),
            None => self.of_lookup.forget(&self.key),
        }
        self.of_lookup.landed(&self.key, &self.flight);
        if self.refresh.is_some() {
            self.of_lookup.metrics.refreshed(Refreshed::Ok);
        }
        let (source, first_answer) = (answer.source, answer.first_answer);
        let (own, shared) = match kept {
            Some(Kept::Answer(kept)) => (Some(answer), Some(kept)),
            _ if self.flight.waiting() > 1 => {
                let shared = SharedAnswer::of(answer).await;
                (None, Some(Rc::new(shared)))
            }
            _ => (Some(answer), None),
        };
        let landed = Landed::Answer(LandedAnswer {
            own,
            shared,
            source,
            first_answer,
        });
        self.flight.deliver(landed, &self.memory).await;
    }

    async fn failed(&self, err: LookupError) {
        self.of_lookup.landed(&self.key, &self.flight);
        let params = self.key.params();
        self.of_lookup.failed(params);
        let fallback = self.of_lookup.fallback(params);
        let fallback = fallback.filter(|_| is_outage(&err));
        if self.refresh.is_some() {
            self.of_lookup.metrics.refreshed(Refreshed::Failed);
        }
        match fallback {
            Some((answer, asked)) => {
                // No call fails, so that nothing else logs it.
                self.inside.log(self.lookup, &err);
                let landed = Landed::Fallback(answer, asked);
                let served = self.flight.deliver(landed, &self.memory).await;
                self.of_lookup.metrics.stale_if_error(served);
            }
            None => {
                if self.refresh.is_some() {
                    self.inside.log(self.lookup, &err);
                }
                self.flight.deliver(Landed::Failed(err), &self.memory).await;
            }
        }
    }
}

impl Drop for Asking {
    /// If it ends without an outcome, as after a panic, so do the calls that wait.
    fn drop(&mut self) {
        self.of_lookup.landed(&self.key, &self.flight);
        self.flight.abandon();
    }
}

/// Whether a question ended because its own time passed.
fn is_of_time(err: &LookupError) -> bool {
    matches!(
        err.code,
        Code::LookupTimeout | Code::LookupTimeoutPool | Code::CallDeadline
    )
}

/// Whether the store did not answer, as opposed to an answer that is an error.
fn is_outage(err: &LookupError) -> bool {
    is_of_time(err)
        || matches!(
            err.code,
            Code::LookupUnavailable
                | Code::LookupBadAnswer
                | Code::LookupBreakerOpen
                | Code::LookupShed
                | Code::LookupWaited
                | Code::LookupFailed
                | Code::LookupInjected
        )
}
