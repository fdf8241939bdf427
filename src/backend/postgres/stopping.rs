//! Stops the statement that a session runs once nobody waits for it.
//!
//! Statements behind it on the same session are not to be hit. Nothing new is sent while a request is on its way. What was
//! already sent may be hit if the abandoned statement ends in that moment; it is then asked once more, which the pool does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::cancel::CancelHandle;
use super::sent::SentStatements;
use crate::backend::cancels::CancelRequests;
use crate::backend::net::Silence;

/// How long a statement may go on that nobody waits for: most end by themselves, and a request costs the server more. One
/// that is known to take long has no such time.
const GRACE: Duration = Duration::from_millis(10);
/// How long after a request the network may still carry it.
const LATE: Duration = Duration::from_secs(10);

/// The statements of a session, and what stops them.
pub(super) struct Stopping {
    pub(super) sent: RefCell<SentStatements>,
    client: Rc<Client>,
    pub(super) silence: Rc<Silence>,
    /// Without it nothing is ever stopped.
    handle: Option<CancelHandle>,
    requests: Rc<CancelRequests>,
    /// A task looks after the statement that runs in vain.
    is_watched: Cell<bool>,
    is_on_its_way: Cell<bool>,
    /// When the last request was handled.
    handled_at: Cell<Option<Instant>>,
    handled: Notify,
}

impl Stopping {
    pub(super) fn new(
        (client, silence): (&Rc<Client>, Silence),
        handle: Option<CancelHandle>,
        requests: &Rc<CancelRequests>,
    ) -> Self {
        Stopping {
            sent: RefCell::new(SentStatements::new(Instant::now())),
            client: Rc::clone(client),
            silence: Rc::new(silence),
            handle,
            requests: Rc::clone(requests),
            is_watched: Cell::new(false),
            is_on_its_way: Cell::new(false),
            handled_at: Cell::new(None),
            handled: Notify::new(),
        }
    }

    /// Whether a request is on its way, so that nothing new may be sent.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.is_on_its_way.get()
    }

    /// Ends when something new may be sent.
    pub(super) async fn handled(&self) {
        while self.is_on_its_way() {
            self.handled.notified().await;
        }
    }

    /// Whether a request may have hit a statement that was sent at `sent` and has ended now.
    pub(super) fn was_since(&self, sent: Instant) -> bool {
        let is_recent = |at: Instant| at >= sent || at.elapsed() < LATE;
        self.is_on_its_way() || self.handled_at.get().is_some_and(is_recent)
    }

    /// Waits a moment for the end of everything that was sent so far.
    async fn ends_soon(&self) -> bool {
        let last = self.sent.borrow().last();
        let Ok(answered) = timeout(GRACE, self.client.check_connection()).await else {
            return false;
        };
        self.sent.borrow_mut().over(last, Instant::now());
        if answered.is_ok() {
            self.silence.answered();
        }
        true
    }

    /// Whether the last request was handled only a moment ago.
    fn was_just_handled(&self) -> bool {
        let is_recent = |at: Instant| at.elapsed() < GRACE;
        self.handled_at.get().is_some_and(is_recent)
    }

    /// Hears whether the server answers after a statement was stopped, whose own answer nobody hears.
    fn listen(&self) {
        let (client, silence) = (Rc::clone(&self.client), Rc::clone(&self.silence));
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = timeout(LATE, client.check_connection()).await {
                silence.answered();
            }
        });
    }

    /// Starts to look after the statement that runs if nobody waits for it.
    pub(super) fn stop_what_runs_in_vain(self: &Rc<Self>) {
        if self.handle.is_some()
            && !self.is_watched.get()
            && self.sent.borrow().running_in_vain().is_some()
            && self.requests.may_send()
        {
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
        self.0.handled.notify_waiters();
    }
}

/// Stops one statement after the other, for as long as nobody waits for the one that runs.
async fn watch(watch: Watch) {
    let stopping = &watch.0;
    let Some(handle) = &stopping.handle else {
        return;
    };
    loop {
        let Some(running) = stopping.sent.borrow().running_in_vain() else {
            return;
        };
        // The server may not be done with what the last request has stopped: another one would hit that again, and the next
        // statement would go on, although it is taken to be over.
        let at_once = running.is_slow && !stopping.was_just_handled();
        if !at_once && stopping.ends_soon().await {
            continue;
        }
        if stopping.sent.borrow().running_in_vain() != Some(running) {
            continue;
        }
        if !stopping.requests.may_send() {
            return;
        }
        stopping.is_on_its_way.set(true);
        let request = Request(stopping);
        stopping.requests.send(handle.send()).await;
        drop(request);
        stopping
            .sent
            .borrow_mut()
            .over(running.number, Instant::now());
        stopping.listen();
    }
}
