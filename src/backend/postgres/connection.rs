//! One pipelined connection to a PostgreSQL server, which reconnects by itself, and the questions on it.
//!
//! While the server can't be reached, lookups end at once in `lookup.unavailable`. Only while an attempt that may well
//! succeed is under way do they wait for it, never longer than `connect_timeout`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::time::Instant;

use super::config::Lookup;
use super::dialer::{Dialer, Setup, Usage};
use super::place::{Seen, Traffic};
use super::sent::{Sent, Work};
use super::session::Session;
use super::statement::Prepared;
use crate::backend::LookupError;
use crate::backend::net::{Availability, Keeper, State, keep};

/// The name of the other end in errors.
const STORE: &str = "PostgreSQL";

/// A connection and the task that keeps it.
pub(super) struct Connection {
    availability: Rc<Availability<Rc<Session>>>,
    setup: Rc<Setup>,
    usage: Rc<Usage>,
    /// For the delays between attempts.
    seed: u64,
    /// None if it was never opened.
    keeper: RefCell<Option<Keeper>>,
}

/// A question on a session. A session on which question after question is dropped without an answer is given up.
pub(super) struct Asking<'a> {
    connection: &'a Connection,
    session: &'a Rc<Session>,
    sent: Sent,
    is_answered: bool,
}

/// What the server has said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing: it was not asked, or the connection broke.
    Nothing,
    Answer,
    /// The statement ended early: it failed, or it was stopped.
    Error,
}

impl Connection {
    /// Starts to connect in the background, on this loop, unless it is extra. `seed` is for the delays between attempts.
    pub(super) fn start(setup: Rc<Setup>, seed: u64, is_extra: bool) -> Self {
        let connection = Connection {
            availability: Rc::new(Availability::paced(&setup.pace)),
            setup,
            usage: Rc::new(Usage {
                is_extra,
                is_closed: Cell::new(true),
                at: Cell::new(Instant::now()),
            }),
            seed,
            keeper: RefCell::default(),
        };
        if !is_extra {
            connection.open();
        }
        connection
    }

    /// Starts to connect in the background.
    pub(super) fn open(&self) {
        self.usage.at.set(Instant::now());
        self.usage.is_closed.set(false);
        let dialer = Dialer {
            setup: Rc::clone(&self.setup),
            availability: Rc::clone(&self.availability),
            usage: Rc::clone(&self.usage),
            retired: None,
        };
        let keeper = keep(dialer, Rc::clone(&self.availability), self.seed);
        self.keeper.replace(Some(keeper));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.usage.is_closed.get()
    }

    /// How a statement of this lookup finds it.
    pub(super) fn seen(&self, lookup: usize, now: Instant) -> Seen {
        let seen = |traffic| Seen {
            traffic,
            holds: false,
            has_unready: false,
            is_extra: self.usage.is_extra,
        };
        if self.is_closed() {
            return seen(Traffic::Closed);
        }
        match &*self.availability.state() {
            State::Up(session) => {
                let durations = &self.setup.durations;
                let sent = session.stopping.sent.borrow();
                Seen {
                    holds: sent.is_occupied_by(lookup, now, durations),
                    has_unready: sent.has_unready(),
                    ..seen(session.traffic(&sent, now, durations))
                }
            }
            State::Connecting => seen(Traffic::Connecting),
            State::Unavailable(_) => seen(Traffic::Unavailable),
        }
    }

    /// Whether questions can be sent now.
    pub(super) fn is_up(&self) -> bool {
        self.availability.is_up()
    }

    /// Whether an attempt to connect is under way that may well succeed.
    pub(super) fn is_connecting(&self) -> bool {
        !self.is_closed() && matches!(&*self.availability.state(), State::Connecting)
    }

    /// The lookup's statement, if it is prepared here.
    pub(super) fn known(&self, lookup: &Lookup) -> Option<Rc<Prepared>> {
        match &*self.availability.state() {
            State::Up(session) => session.known(lookup),
            _ => None,
        }
    }

    /// The session, once it is known whether there is one.
    pub(super) async fn session(&self) -> Result<Rc<Session>, LookupError> {
        let patience = self.setup.settings.connect_timeout;
        self.availability.client(patience, STORE).await
    }

    /// A question is about to be asked `now`, or one is going to be whose statement is not ready.
    pub(super) fn ask<'a>(
        &'a self,
        session: &'a Rc<Session>,
        lookup: usize,
        (work, now): (Work, Instant),
    ) -> Asking<'a> {
        self.usage.at.set(now);
        let mut all = session.stopping.sent.borrow_mut();
        let sent = all.push(lookup, now, work);
        drop(all);
        Asking {
            connection: self,
            session,
            sent,
            is_answered: false,
        }
    }

    /// Has the keeper connect again, unless it did so already.
    pub(super) fn lost(&self, broken: &Rc<Session>) {
        self.availability
            .lost(|session| Rc::ptr_eq(session, broken));
        broken.stopping.lost.notify_one();
        self.setup.waiting.changed();
    }
}

impl Asking<'_> {
    /// Its statement has become ready. If it runs, it is sent now.
    pub(super) fn is_ready(&mut self) {
        let mut all = self.session.stopping.sent.borrow_mut();
        self.sent = all.is_ready(&self.sent, Instant::now());
        drop(all);
        // Something slow may have waited for that.
        self.connection.setup.waiting.changed();
    }

    /// The question has ended.
    pub(super) fn heard(mut self, heard: Heard) {
        self.is_answered = true;
        if heard == Heard::Nothing {
            return;
        }
        // Preparing may have waited for an earlier answer, which says nothing about the statements sent since.
        if self.sent.runs() {
            let now = Instant::now();
            let durations = &self.connection.setup.durations;
            durations.answered_after(now.duration_since(self.sent.at));
            let mut all = self.session.stopping.sent.borrow_mut();
            match all.ran(&self.sent, now) {
                Some(ran) if heard == Heard::Answer => durations.took(self.sent.lookup, ran),
                Some(ran) => durations.took_at_least(self.sent.lookup, ran),
                None => {}
            }
            let waiting = &self.connection.setup.waiting;
            // Nearly always, nothing waits.
            let may_go_on = waiting.is_any()
                && (waiting.has(self.sent.lookup)
                    || all.has_slow()
                    || all.is_stuck(now, durations));
            all.answered(&self.sent, now);
            drop(all);
            if may_go_on {
                waiting.changed();
            }
        }
        self.session.stopping.silence.answered();
        self.session.stopping.stop_what_runs_in_vain();
    }

    /// Whether a request to stop another statement may have stopped this one.
    pub(super) fn may_be_stopped(&self) -> bool {
        self.session.stopping.was_since(self.sent.at)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let setup = &self.connection.setup;
        let mut all = self.session.stopping.sent.borrow_mut();
        if self.is_answered {
            if all.remove(&self.sent) {
                drop(all);
                setup.waiting.changed();
                // An abandoned one may be the first now.
                self.session.stopping.stop_what_runs_in_vain();
            }
            return;
        }
        // The server may still work on it, unless something else is before it.
        let ran = all.ran(&self.sent, Instant::now());
        if let Some(ran) = ran.filter(|_| self.sent.runs()) {
            setup.durations.took_at_least(self.sent.lookup, ran);
        }
        all.abandon(&self.sent);
        drop(all);
        self.session.stopping.stop_what_runs_in_vain();
        if self.session.stopping.silence.gave_up(self.sent.at) {
            self.connection.lost(self.session);
        }
    }
}
