//! What waits for a connection: calls, and what is known of the connections.
//!
//! Lookups put calls in, the tasks that own the connections take them out and answer. While no connection is up
//! and none is expected to be, a call is answered at once with the reason. Nothing here waits for the network.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::call::Call;
use super::carried::Carried;
use crate::backend::links::{Link, Links};
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::value::Value;

/// Calls that wait for a connection; further ones are shed.
pub(super) const CALLS_MAX: usize = 4096;

/// One call and whom its answer is for.
pub(super) struct Question {
    pub(super) call: Arc<Call>,
    /// A record that fits the method's parameters.
    pub(super) params: Value,
    /// What goes along with it.
    pub(super) carried: Carried,
    /// A connection broke under it already.
    tried: bool,
    answer: oneshot::Sender<Result<Answer, LookupError>>,
}

/// The calls for one backend.
pub(super) struct Queue {
    waiting: RefCell<VecDeque<Question>>,
    arrived: Notify,
    pub(super) links: Links,
}

impl Question {
    /// Answers; nobody may be there to hear it.
    pub(super) fn answer(self, answer: Result<Answer, LookupError>) {
        // An asker that gave up is no failure of ours.
        drop(self.answer.send(answer));
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    /// Ends when nobody waits for the answer any more.
    pub(super) async fn given_up(&mut self) {
        self.answer.closed().await;
    }
}

impl Queue {
    /// An empty one, for as many connections.
    pub(super) fn new(connections: usize) -> Self {
        let why = LookupError::new(Code::LookupUnavailable, "not connected to the service yet");
        Queue {
            waiting: RefCell::default(),
            arrived: Notify::new(),
            links: Links::new(connections, why),
        }
    }

    /// Calls, and waits for the answer.
    pub(super) async fn ask(
        &self,
        call: Arc<Call>,
        params: Value,
        carried: Carried,
    ) -> Result<Answer, LookupError> {
        let (answer, answered) = oneshot::channel();
        self.push(Question {
            call,
            params,
            carried,
            tried: false,
            answer,
        })?;
        answered.await.unwrap_or_else(|_| {
            let why = "the connection's task ended";
            Err(LookupError::new(Code::LookupUnavailable, why))
        })
    }

    fn push(&self, question: Question) -> Result<(), LookupError> {
        if let Some(why) = self.links.hopeless() {
            return Err(why);
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= CALLS_MAX {
            waiting.retain(|question| !question.is_given_up());
        }
        if waiting.len() >= CALLS_MAX {
            let why = "too many calls wait for the service";
            return Err(LookupError::new(Code::LookupShed, why));
        }
        waiting.push_back(question);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes back a call that a connection broke under, to be asked once more: all are reads, so asking again does
    /// no harm. A second time it is answered with the reason.
    pub(super) fn again(&self, mut question: Question, why: &LookupError) {
        if question.is_given_up() {
            return;
        }
        if question.tried {
            return question.answer(Err(why.clone()));
        }
        question.tried = true;
        // In front, and past the limit: it was within it before, and connections hold few.
        self.waiting.borrow_mut().push_front(question);
        self.arrived.notify_one();
    }

    /// The next call that somebody waits for.
    pub(super) fn take(&self) -> Option<Question> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(question) = waiting.pop_front() {
            if !question.is_given_up() {
                return Some(question);
            }
        }
        None
    }

    /// Ends when there may be a call to take.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Wakes another connection's task if this one leaves calls behind.
    pub(super) fn pass_on(&self) {
        if !self.waiting.borrow().is_empty() {
            self.arrived.notify_one();
        }
    }

    /// A connection can't be made. When none is left to hope for, what waits is answered with the reason.
    pub(super) fn failed(&self, was: &mut Link, why: &LookupError) {
        if self.links.failed(was, why) {
            for question in self.waiting.take() {
                question.answer(Err(why.clone()));
            }
        }
    }
}
