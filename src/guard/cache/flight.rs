//! A question under way for several calls: those that wait for it, and whether it was sent.
//!
//! It belongs to none of them. A caller that gives up leaves its slot and nothing else; the question ends early only when
//! no call waits for it any more.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::time::Instant;

use super::answer::{Handed, Provenance, SharedAnswer};
use crate::backend::{Answer, LookupError, Stamp, StoreMemory};
use crate::error::Code;
use crate::guard::reply_slots::Responder;
use crate::guard::sending::Sending;
use crate::timeline::Source;

/// How many waiting calls get their answers before others have their turn at the loop.
const AT_ONCE: usize = 256;

/// A question under way.
#[derive(Default)]
pub(super) struct Flight {
    waiters: RefCell<Vec<Waiter>>,
    sending: Rc<Sending>,
    /// If the store says when the answer is no longer right.
    stamp: RefCell<Option<Stamp>>,
}

/// A call that waits.
pub(super) struct Waiter {
    responder: Responder,
    deadline: Instant,
    /// When it joined; `None` for the one that asked.
    joined: Option<Instant>,
}

/// What all waiting calls get.
pub(super) enum Landed {
    Answer(LandedAnswer),
    /// A kept answer, since the store failed, and when it was asked.
    Fallback(Rc<SharedAnswer>, Instant),
    Failed(LookupError),
}

/// The answer of the store.
pub(super) struct LandedAnswer {
    /// For the call that asked, or for the only one.
    pub(super) own: Option<Answer>,
    /// For the others.
    pub(super) shared: Option<Rc<SharedAnswer>>,
    pub(super) source: Source,
    pub(super) first_answer: Option<Instant>,
}

impl Flight {
    pub(super) fn was_sent(&self) -> bool {
        self.sending.was_sent()
    }

    /// The store is asked now.
    pub(super) fn asks(&self, stamp: Option<&Stamp>) {
        self.stamp.replace(stamp.cloned());
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp.borrow().clone()
    }

    /// Where the asking side says how far it has come.
    pub(super) fn sending(&self) -> &Rc<Sending> {
        &self.sending
    }

    /// The call that asks.
    pub(super) fn ask_for(&self, responder: Responder, deadline: Instant) {
        self.waiters.borrow_mut().push(Waiter {
            responder,
            deadline,
            joined: None,
        });
    }

    /// One more call.
    pub(super) fn join(&self, responder: Responder, deadline: Instant) {
        self.waiters.borrow_mut().push(Waiter {
            responder,
            deadline,
            joined: Some(Instant::now()),
        });
    }

    /// Tells the waiting calls that the store has the question, if it does: they need not know before they give up.
    pub(super) fn tell_sent(&self) {
        if self.was_sent() {
            for waiter in &*self.waiters.borrow() {
                waiter.responder.mark_sent();
            }
        }
    }

    /// Whether a call waits that still has time at `now`.
    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        let waiters = self.waiters.borrow();
        let wants = |waiter: &Waiter| waiter.deadline > now && waiter.responder.is_open();
        waiters.iter().any(wants)
    }

    /// Whether a call waits, with or without time.
    pub(super) fn is_awaited(&self) -> bool {
        let waiters = self.waiters.borrow();
        waiters.iter().any(|waiter| waiter.responder.is_open())
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        let waiters = self.waiters.borrow();
        (waiters.iter())
            .filter(|waiter| waiter.responder.is_open())
            .count()
    }

    /// Gives each waiting call its answer. Returns how many got it.
    pub(super) async fn deliver(&self, mut landed: Landed, memory: &StoreMemory) -> usize {
        let waiters = self.waiters.take();
        let mut served = 0;
        for (at, waiter) in waiters.into_iter().enumerate() {
            if at % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if !waiter.responder.is_open() {
                continue;
            }
            served += 1;
            let answer = match landed.answer_for(&waiter, memory) {
                Ok(Handed::Now(answer)) => Ok(answer),
                Ok(Handed::Later(copy)) => copy.make(waiter.deadline).await,
                Err(err) => Err(err),
            };
            waiter.responder.send(answer);
        }
        served
    }

    /// Fails the calls that still wait: the question ended without an outcome.
    pub(super) fn abandon(&self) {
        for waiter in self.waiters.take() {
            waiter.responder.fail_unanswered();
        }
    }
}

impl Landed {
    fn answer_for(&mut self, waiter: &Waiter, memory: &StoreMemory) -> Result<Handed, LookupError> {
        match self {
            Landed::Answer(answer) => answer.hand_out(waiter, memory),
            Landed::Fallback(shared, asked) => {
                let stale = Provenance::kept(Source::Stale, asked.elapsed());
                Ok(shared.hand_out(stale, memory))
            }
            Landed::Failed(err) => Err(err.clone()),
        }
    }
}

impl LandedAnswer {
    fn hand_out(&mut self, waiter: &Waiter, memory: &StoreMemory) -> Result<Handed, LookupError> {
        let (source, first_answer) = match waiter.joined {
            None => (self.source, self.first_answer),
            // It may have joined after the first byte.
            Some(joined) => {
                let first_answer = self.first_answer.map(|first| first.max(joined));
                (Source::Coalesced, first_answer)
            }
        };
        let gets_own = waiter.joined.is_none() || self.shared.is_none();
        if let Some(own) = self.own.take_if(|_| gets_own) {
            return Ok(Handed::Now(Answer {
                first_answer,
                source,
                ..own
            }));
        }
        let provenance = Provenance {
            source,
            age: None,
            first_answer,
        };
        let shared = self.shared.as_ref();
        let shared = shared.map(|shared| shared.hand_out(provenance, memory));
        shared.ok_or_else(|| LookupError::new(Code::ServerInternal, "an answer was given twice"))
    }
}
