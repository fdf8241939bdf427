//! One pipelined connection to a PostgreSQL server, which reconnects by itself, and the statements prepared on it.
//!
//! While the server can't be reached, lookups end at once in `lookup.unavailable`. Only while an attempt that may well
//! succeed is under way do they wait for it, never longer than `connect_timeout`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, FutureExt as _, LocalBoxFuture, join_all};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::config::{Lookup, Settings};
use super::driver::Driver;
use super::failure::{Failure, Recovery};
use super::open::{Opened, open};
use super::sent::{Sent, Traffic};
use super::statement::Prepared;
use super::stopping::Stopping;
use crate::backend::LookupError;
use crate::backend::cancels::CancelRequests;
use crate::backend::net::{Availability, Dial, Durations, Ended, Keeper, Silence, State, keep};
use crate::error::Code;

/// The name of the other end in errors.
const STORE: &str = "PostgreSQL";

/// What all connections of a loop have in common.
pub(super) struct Setup {
    pub(super) settings: Settings,
    /// The lookups that are going to be asked, with their names.
    pub(super) planned: Vec<(Arc<str>, Lookup)>,
    pub(super) cancels: Rc<CancelRequests>,
}

/// A connection and the task that keeps it.
pub(super) struct Connection {
    availability: Rc<Availability<Rc<Session>>>,
    connect_timeout: Duration,
    _keeper: Keeper,
}

/// A connection that is up, and the statements prepared on it.
pub(super) struct Session {
    /// Sends questions; all of them are pipelined.
    pub(super) client: Rc<Client>,
    /// By the lookup's number.
    statements: RefCell<HashMap<usize, Preparing>>,
    /// A lookup found that it is broken.
    lost: Notify,
    /// Whether it has answered a question.
    has_answered: Cell<bool>,
    stopping: Rc<Stopping>,
}

/// A question on a session. A session on which question after question is dropped without an answer is given up.
pub(super) struct Asking<'a> {
    connection: &'a Connection,
    session: &'a Rc<Session>,
    /// Hears how long the statement runs, if it runs.
    durations: Option<&'a Durations>,
    sent: Sent,
    is_answered: bool,
}

/// A statement that is or will be prepared.
type Preparing = future::Shared<LocalBoxFuture<'static, Result<Rc<Prepared>, Failure>>>;

impl Connection {
    /// Starts to connect in the background, on this loop. `seed` is for the delays between attempts.
    pub(super) fn start(setup: Rc<Setup>, seed: u64) -> Self {
        let availability = Rc::new(Availability::new());
        let connect_timeout = setup.settings.connect_timeout;
        Connection {
            _keeper: keep(
                Dialer {
                    setup,
                    retired: None,
                },
                Rc::clone(&availability),
                seed,
            ),
            availability,
            connect_timeout,
        }
    }

    /// What is before another statement now. The less, the better.
    pub(super) fn traffic(&self, now: Instant) -> Traffic {
        match &*self.availability.state() {
            State::Up(session) => {
                let stopping = &session.stopping;
                let sent = stopping.sent.borrow();
                sent.traffic(now, stopping.is_on_its_way())
            }
            State::Connecting => Traffic::Connecting,
            State::Unavailable(_) => Traffic::Unavailable,
        }
    }

    /// Whether a statement of this lookup occupies it.
    pub(super) fn is_occupied_by(&self, lookup: usize, now: Instant) -> bool {
        match &*self.availability.state() {
            State::Up(session) => {
                let sent = session.stopping.sent.borrow();
                sent.is_occupied_by(lookup, now)
            }
            _ => false,
        }
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
        let session = self
            .availability
            .client(self.connect_timeout, STORE)
            .await?;
        session.stopping.handled().await;
        Ok(session)
    }

    /// A question is about to be asked.
    pub(super) fn ask<'a>(
        &'a self,
        session: &'a Rc<Session>,
        lookup: usize,
        durations: Option<&'a Durations>,
    ) -> Asking<'a> {
        let runs = durations.map(|durations| durations.usual(lookup));
        let mut all = session.stopping.sent.borrow_mut();
        let sent = all.push(lookup, Instant::now(), runs);
        drop(all);
        Asking {
            connection: self,
            session,
            durations,
            sent,
            is_answered: false,
        }
    }

    /// Has the keeper connect again, unless it did so already.
    pub(super) fn lost(&self, broken: &Rc<Session>) {
        self.availability
            .lost(|session| Rc::ptr_eq(session, broken));
        broken.lost.notify_one();
    }
}

impl Asking<'_> {
    /// There is an answer, which may be an error of the server or of the connection.
    pub(super) fn answered(mut self, is_of_server: bool) {
        self.is_answered = true;
        if !is_of_server {
            return;
        }
        // Preparing may have waited for an earlier answer, which says nothing about the statements sent since.
        if self.sent.runs {
            let now = Instant::now();
            self.took(now);
            let mut all = self.session.stopping.sent.borrow_mut();
            all.answered(&self.sent, now);
        }
        self.session.has_answered.set(true);
        self.session.stopping.silence.answered();
        self.session.stopping.stop_what_runs_in_vain();
    }

    /// Whether a request to stop another statement may have stopped this one.
    pub(super) fn may_be_stopped(&self) -> bool {
        self.session.stopping.was_since(self.sent.at)
    }

    /// The server has worked on it until `now`, unless something else was before it.
    fn took(&self, now: Instant) {
        let ran = self.session.stopping.sent.borrow().ran(&self.sent, now);
        if let (Some(durations), Some(ran)) = (self.durations, ran) {
            durations.took(self.sent.lookup, ran);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return self.session.stopping.sent.borrow_mut().remove(&self.sent);
        }
        // The server may still work on it.
        self.took(Instant::now());
        self.session.stopping.sent.borrow_mut().abandon(&self.sent);
        self.session.stopping.stop_what_runs_in_vain();
        if self.session.stopping.silence.gave_up(self.sent.at) {
            self.connection.lost(self.session);
        }
    }
}

fn session_ended() -> LookupError {
    LookupError::new(
        Code::LookupUnavailable,
        "the connection to PostgreSQL ended",
    )
}

impl Session {
    /// Prepares all statements that are going to be asked, together. A lookup that arrives meanwhile waits for its own
    /// statement only. A statement that is refused is tried again when its lookup is asked.
    async fn prepare_all(self: Rc<Self>, planned: &[(Arc<str>, Lookup)]) {
        let prepare = async |(name, lookup): &(Arc<str>, Lookup)| match self.prepared(lookup).await
        {
            Ok(_) => lookup.warned.prepared(),
            // The end of the connection says nothing about the statement.
            Err(failure) if failure.recovery == Recovery::Connect => {}
            Err(failure) => lookup.warned.refused(name, &failure.error),
        };
        join_all(planned.iter().map(prepare)).await;
    }

    /// The lookup's statement, prepared on first use if it is not yet. It is prepared in its own task: a dropped lookup
    /// must leave neither a half-prepared statement behind nor an unread answer, for which everything else on the
    /// connection would wait.
    pub(super) async fn prepared(
        self: &Rc<Self>,
        lookup: &Lookup,
    ) -> Result<Rc<Prepared>, Failure> {
        let preparing = {
            let mut statements = self.statements.borrow_mut();
            let entry = statements.entry(lookup.id);
            entry.or_insert_with(|| self.prepare(lookup)).clone()
        };
        let prepared = preparing.clone().await;
        if prepared.is_err() {
            self.remove(lookup, |known| known.ptr_eq(&preparing));
        }
        prepared
    }

    fn known(&self, lookup: &Lookup) -> Option<Rc<Prepared>> {
        let statements = self.statements.borrow();
        let prepared = statements.get(&lookup.id)?.peek()?.as_ref();
        prepared.ok().cloned()
    }

    fn prepare(self: &Rc<Self>, lookup: &Lookup) -> Preparing {
        let session = Rc::clone(self);
        let sql = lookup.sql.clone();
        let rows = lookup.rows;
        let key = lookup.batch.as_ref().map(|batch| batch.key.clone());
        let prepare =
            async move { Prepared::new(&session.client, &sql, rows, key.as_deref()).await };
        let task = AbortOnDropHandle::new(tokio::task::spawn_local(prepare));
        let ended = |_| Failure {
            error: session_ended(),
            recovery: Recovery::Connect,
            is_of_server: false,
        };
        let prepared = task.map(move |done| done.map_err(ended)?.map(Rc::new));
        prepared.boxed_local().shared()
    }

    /// Makes the lookup's statement be prepared again, unless that has happened already.
    pub(super) fn forget(&self, lookup: &Lookup, stale: &Rc<Prepared>) {
        let is_stale = |known: &Preparing| match known.peek() {
            Some(Ok(prepared)) => Rc::ptr_eq(prepared, stale),
            _ => false,
        };
        if self.remove(lookup, is_stale) {
            self.client.clear_type_cache();
        }
    }

    fn remove(&self, lookup: &Lookup, wanted: impl Fn(&Preparing) -> bool) -> bool {
        let mut statements = self.statements.borrow_mut();
        let found = statements.get(&lookup.id).is_some_and(wanted);
        if found {
            statements.remove(&lookup.id);
        }
        found
    }
}

/// Makes the connections, one at a time.
struct Dialer {
    setup: Rc<Setup>,
    /// The connection that became too old, while questions on it are unanswered.
    retired: Option<AbortOnDropHandle<()>>,
}

/// How long the server may take beyond `statement_timeout`.
const SLACK: Duration = Duration::from_secs(1);

impl Dialer {
    /// How long the answer to any statement may take.
    fn answer_max(&self) -> Duration {
        self.setup.settings.statement_timeout.saturating_add(SLACK)
    }
}

impl Dial for Dialer {
    type Client = Rc<Session>;
    type Connection = (Rc<Session>, Driver);

    async fn connect(&mut self) -> Result<(Rc<Session>, Self::Connection), LookupError> {
        let Opened {
            client,
            driver,
            cancel,
            ..
        } = open(&self.setup.settings).await?;
        let client = Rc::new(client);
        let silence = Silence::new(self.answer_max());
        let session = Rc::new(Session {
            statements: RefCell::default(),
            lost: Notify::new(),
            has_answered: Cell::new(false),
            stopping: Rc::new(Stopping::new(
                (&client, silence),
                cancel,
                &self.setup.cancels,
            )),
            client,
        });
        Ok((Rc::clone(&session), (session, driver)))
    }

    async fn serve(
        &mut self,
        (session, mut driver): Self::Connection,
        retire_at: Instant,
    ) -> Ended {
        let prepare = Rc::clone(&session).prepare_all(&self.setup.planned);
        let prepare = prepare.then(|()| future::pending::<()>());
        let why = tokio::select! {
            ended = &mut driver => match ended {
                Err(err) => Failure::from(&err).error,
                Ok(()) => session_ended(),
            },
            () = prepare => session_ended(),
            () = session.lost.notified() => session_ended(),
            () = sleep_until(retire_at) => {
                // It ends once the questions that are asked on it by now are answered.
                let rest = timeout(self.answer_max(), driver).map(drop);
                self.retired = Some(AbortOnDropHandle::new(tokio::task::spawn_local(rest)));
                return Ended::Served;
            }
        };
        if session.has_answered.get() {
            Ended::Served
        } else {
            Ended::Lost(why)
        }
    }

    fn age_max(&self) -> Duration {
        self.setup.settings.age_max
    }
}
