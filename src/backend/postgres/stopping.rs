//! Stops the statement that a session runs once it is abandoned.
//!
//! Statements behind it on the same session are not to be hit. Nothing new is sent while a request is on its way. What was
//! already sent may be hit if the abandoned statement ends in that moment; it is then asked once more, which the pool does.
//! A statement that can't be stopped goes on, and the session takes nothing new until it ends. Neither does it before it has
//! answered after a request: one whose connection is broken, without a word of the network, may have lost every answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Client;

use super::cancel::CancelHandle;
use super::sent::{InVain, SentStatements};
use super::waiting::Waiting;
use crate::backend::cancels::CancelRequests;
use crate::backend::net::{Pace, Silence};

/// How long an abandoned statement may go on: most end by themselves, and a request costs the server more. One
/// that is known to take long has no such time.
const GRACE: Duration = Duration::from_millis(10);
/// How long a session waits for the end of a statement that can't be stopped, until it finds out whether that can be stopped
/// now.
const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long after a request the network may still carry it.
const LATE: Duration = Duration::from_secs(10);

/// The statements of a session, and what stops them.
pub(super) struct Stopping {
    pub(super) sent: RefCell<SentStatements>,
    client: Rc<Client>,
    pub(super) silence: Rc<Silence>,
    /// How long the server may take for any statement.
    answer_max: Duration,
    /// Somebody found that the session is broken.
    pub(super) lost: Notify,
    /// Without it nothing is ever stopped.
    handle: Option<CancelHandle>,
    requests: Rc<CancelRequests>,
    /// A task looks after the statement that runs in vain.
    is_watched: Cell<bool>,
    is_on_its_way: Cell<bool>,
    /// When the last request was handled.
    handled_at: Cell<Option<Instant>>,
    /// How many requests were handled since the server has last answered on the session.
    unheard: Cell<u32>,
    /// What may be sent once the session is free.
    waiting: Rc<Waiting>,
}

impl Stopping {
    pub(super) fn new(
        client: &Rc<Client>,
        answer_max: Duration,
        handle: Option<CancelHandle>,
        (requests, waiting): (&Rc<CancelRequests>, &Rc<Waiting>),
    ) -> Self {
        Stopping {
            sent: RefCell::new(SentStatements::new(Instant::now())),
            client: Rc::clone(client),
            silence: Rc::new(Silence::new(answer_max)),
            answer_max,
            lost: Notify::new(),
            handle,
            requests: Rc::clone(requests),
            is_watched: Cell::new(false),
            is_on_its_way: Cell::new(false),
            handled_at: Cell::new(None),
            unheard: Cell::new(0),
            waiting: Rc::clone(waiting),
        }
    }

    /// Whether a request is on its way, so that nothing new may be sent.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.is_on_its_way.get()
    }

    /// Whether it is not known if the server still answers here: a request was handled, and nothing has come back since.
    pub(super) fn is_unheard(&self) -> bool {
        self.unheard.get() > 0
    }

    /// Whether a request may have hit a statement that was sent at `sent` and has ended now.
    pub(super) fn was_since(&self, sent: Instant) -> bool {
        let is_recent = |at: Instant| at >= sent || at.elapsed() < LATE;
        self.is_on_its_way() || self.handled_at.get().is_some_and(is_recent)
    }

    /// Waits for the end of everything that was sent so far.
    async fn ends_within(&self, patience: Duration) -> bool {
        let last = self.sent.borrow().last();
        let Ok(answered) = timeout(patience, self.client.check_connection()).await else {
            return false;
        };
        self.over(last);
        if answered.is_ok() {
            self.silence.answered();
        }
        true
    }

    /// The abandoned statements up to this number are over.
    fn over(&self, number: u64) {
        self.sent.borrow_mut().over(number, Instant::now());
        self.waiting.changed();
    }

    /// Whether the last request was handled only a moment ago.
    fn was_just_handled(&self) -> bool {
        let is_recent = |at: Instant| at.elapsed() < GRACE;
        self.handled_at.get().is_some_and(is_recent)
    }

    /// Hears whether the server answers after a statement was stopped, whose own answer is dropped. If it does not, no other
    /// statement will be answered either.
    fn listen(self: &Rc<Self>) {
        self.unheard.set(self.unheard.get() + 1);
        let stopping = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let answered = timeout(stopping.answer_max, stopping.client.check_connection()).await;
            stopping.unheard.set(stopping.unheard.get() - 1);
            match answered {
                Ok(Ok(())) => stopping.silence.answered(),
                // The session has ended.
                Ok(Err(_)) => {}
                Err(_elapsed) => stopping.lost.notify_one(),
            }
            stopping.waiting.changed();
        });
    }

    /// The session is lost, perhaps without the server's knowledge: stops what it runs there. That holds locks, and its answer
    /// is lost. While sessions break again and again, nothing is stopped: each request costs the server a connection, and the
    /// statements end at their time limit.
    pub(super) fn stop_what_is_lost(self: &Rc<Self>, pace: &Pace) {
        let runs = self.handle.is_some() && self.sent.borrow().runs();
        if runs && self.requests.may_send() && pace.take_spare() {
            let stopping = Rc::clone(self);
            tokio::task::spawn_local(async move {
                if let Some(handle) = &stopping.handle {
                    sleep_until(stopping.requests.turn()).await;
                    stopping.requests.send(handle.send()).await;
                }
            });
        }
    }

    /// What stops this statement, if it may be stopped now.
    fn may_stop(&self, in_vain: InVain) -> Option<&CancelHandle> {
        let handle = self.handle.as_ref()?;
        (in_vain.runs && self.requests.may_send()).then_some(handle)
    }

    /// Starts to look after the statement that the server works on if it is abandoned.
    pub(super) fn stop_what_runs_in_vain(self: &Rc<Self>) {
        if !self.is_watched.get() && self.sent.borrow().in_vain().is_some() {
            self.is_watched.set(true);
            tokio::task::spawn_local(watch(Watch(Rc::clone(self))));
        }
    }
}

/// A session whose running statement is looked after.
struct Watch(Rc<Stopping>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.is_watched.set(false);
    }
}

/// A session to which a request is on its way.
struct Request<'a>(&'a Stopping);

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.0.handled_at.set(Some(Instant::now()));
        self.0.is_on_its_way.set(false);
        self.0.waiting.changed();
    }
}

/// Stops one statement after the other, for as long as the one that runs is abandoned, or waits for its end.
async fn watch(watch: Watch) {
    let stopping = &watch.0;
    let mut since = Instant::now();
    loop {
        let Some(running) = stopping.sent.borrow().in_vain() else {
            return;
        };
        // The server may not be done with what the last request has stopped: another one would hit that again, and the next
        // statement would go on, although it is taken to be over.
        let may_stop = stopping.may_stop(running).is_some();
        let at_once = may_stop && running.is_slow && !stopping.was_just_handled();
        if !at_once && stopping.ends_within(GRACE).await {
            since = Instant::now();
            continue;
        }
        if stopping.sent.borrow().in_vain() != Some(running) {
            continue;
        }
        let Some(handle) = stopping.may_stop(running) else {
            if stopping.ends_within(ASKS_AGAIN_AFTER).await {
                since = Instant::now();
            } else if since.elapsed() >= stopping.answer_max {
                // Nothing is sent behind the statement, so nothing else finds out that the server is gone.
                return stopping.lost.notify_one();
            }
            continue;
        };
        sleep_until(stopping.requests.turn()).await;
        // Others may have had theirs first.
        if stopping.sent.borrow().in_vain() != Some(running) {
            continue;
        }
        stopping.is_on_its_way.set(true);
        let request = Request(stopping);
        let is_handled = stopping.requests.send(handle.send()).await;
        if is_handled {
            let mut sent = stopping.sent.borrow_mut();
            sent.over(running.number, Instant::now());
            drop(sent);
            stopping.listen();
        }
        drop(request);
    }
}
