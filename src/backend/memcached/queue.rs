//! What waits for one server: questions, and what is known of its connections.
//!
//! Lookups put questions in, the tasks that own the connections take them out and answer. While no connection
//! is up and none is expected to be, a question is answered at once with the reason. Nothing here waits for
//! the network.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::backend::LookupError;
use crate::backend::links::{Link, Links};
use crate::error::Code;

/// Questions that wait for a connection to one server; further ones are shed.
const QUESTIONS_MAX: usize = 4096;
/// Keys of one question.
const KEYS_MAX: usize = 128;
/// About how many bytes one answer should have: the wire's crate reads an answer of several values again from
/// its beginning whenever more of it comes, which costs the square of its length.
const ANSWER_BYTES: usize = 1 << 20;

/// What a server has for the keys of one question, in their order.
pub(super) type Found = Vec<Option<Bytes>>;

/// One multi-get.
pub(super) struct Question {
    /// Different keys, all of this server.
    pub(super) keys: Rc<[Bytes]>,
    answer: oneshot::Sender<Result<Found, LookupError>>,
}

/// The questions for one server.
pub(super) struct Queue {
    waiting: RefCell<VecDeque<Question>>,
    arrived: Notify,
    pub(super) links: Links,
    /// The bytes of a value, lately.
    value_bytes: Cell<usize>,
}

impl Question {
    /// Answers; nobody may be there to hear it.
    pub(super) fn answer(self, found: Result<Found, LookupError>) {
        // An asker that gave up is no failure of ours.
        drop(self.answer.send(found));
    }

    /// Ends when nobody waits for the answer any more.
    pub(super) async fn given_up(&mut self) {
        self.answer.closed().await;
    }
}

impl Queue {
    /// An empty one, for as many connections.
    pub(super) fn new(connections: usize) -> Self {
        let why = LookupError::new(Code::LookupUnavailable, "not connected to memcached yet");
        Queue {
            waiting: RefCell::default(),
            arrived: Notify::new(),
            links: Links::new(connections, why),
            value_bytes: Cell::new(0),
        }
    }

    /// How many keys to ask for at once.
    pub(super) fn keys_max(&self) -> usize {
        (ANSWER_BYTES / self.value_bytes.get().max(1)).clamp(1, KEYS_MAX)
    }

    /// Remembers how long the values of an answer are. Forgets slowly, so that a small one among large ones
    /// does not open the door.
    pub(super) fn note_sizes(&self, found: &Found) {
        let values = found.iter().flatten().count();
        let bytes: usize = found.iter().flatten().map(Bytes::len).sum();
        if let Some(mean) = bytes.checked_div(values) {
            let before = self.value_bytes.get();
            self.value_bytes.set(mean.max(before - before / 8));
        }
    }

    /// Asks, and gives up after `patience`.
    pub(super) async fn ask(
        &self,
        keys: Rc<[Bytes]>,
        patience: Duration,
    ) -> Result<Found, LookupError> {
        let (answer, answered) = oneshot::channel();
        self.push(Question { keys, answer })?;
        let why = match timeout(patience, answered).await {
            Ok(Ok(found)) => return found,
            Ok(Err(_)) => "the connection's task ended",
            Err(_) => "no answer within `answer_timeout`",
        };
        Err(LookupError::new(Code::LookupUnavailable, why))
    }

    fn push(&self, question: Question) -> Result<(), LookupError> {
        if let Some(why) = self.links.hopeless() {
            return Err(why);
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= QUESTIONS_MAX {
            waiting.retain(|question| !question.answer.is_closed());
        }
        if waiting.len() >= QUESTIONS_MAX {
            let why = "too many questions wait for one memcached server";
            return Err(LookupError::new(Code::LookupShed, why));
        }
        waiting.push_back(question);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next question that somebody waits for.
    pub(super) async fn next(&self) -> Question {
        loop {
            let arrived = self.arrived.notified();
            if let Some(question) = self.take() {
                return question;
            }
            arrived.await;
        }
    }

    fn take(&self) -> Option<Question> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(question) = waiting.pop_front() {
            if !question.answer.is_closed() {
                return Some(question);
            }
        }
        None
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
