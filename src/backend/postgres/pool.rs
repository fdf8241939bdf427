//! Holds the connections of one loop: sends each question over one of them, and again if that connection turns out to be
//! stale.
//!
//! [`place`] says which connections may take a statement. One that none may take yet is not sent: it waits in
//! [`super::waiting`].

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures_util::poll;
use tokio::time::{Duration, Instant, timeout_at};

use super::config::{Config, Lookup};
use super::connection::{Connection, Heard};
use super::dialer::Setup;
use super::encode::Param;
use super::failure::{Failure, Recovery};
use super::place::{Place, place};
use super::sent::Work;
use super::session::Session;
use super::statement::{Prepared, QueryRows};
use super::waiting::{Waiter, Waiting};
use crate::backend::cancels::{CancelRequests, Cancels};
use crate::backend::net::{Durations, Pace, Usual};
use crate::backend::{LookupError, OnLoop, OpenConnections, Planned, StoreMemory, sql};
use crate::random::Random;

/// How often a statement is asked again that was stopped instead of another one.
const STOPPED_MAX: u32 = 8;
/// How long a statement waits for a free connection before another one is opened: most waits are over by then.
const GROWS_AFTER: Duration = Duration::from_millis(10);

/// A connection, its session, and the time at which they were found.
type Placed<'a> = (&'a Connection, Rc<Session>, Instant);

/// One loop's connections.
pub(super) struct Pool {
    connections: Vec<Connection>,
    /// The connection to consider first: equally busy ones take turns.
    turn: Cell<usize>,
    setup: Rc<Setup>,
    /// For large answers.
    memory: StoreMemory,
}

impl Pool {
    /// Starts to connect in the background, on this loop.
    pub(super) fn start(config: &Config, planned: &[Planned<'_, Lookup>], on: &OnLoop) -> Self {
        let mut settings = config.settings.clone();
        settings.statement_timeout = sql::statement_timeout(settings.statement_timeout, planned);
        let named = |planned: &Planned<'_, Lookup>| (planned.name.clone(), planned.lookup.clone());
        let setup = Rc::new(Setup {
            settings,
            planned: planned.iter().map(named).collect(),
            cancels: Rc::new(CancelRequests::new("PostgreSQL")),
            durations: Durations::default(),
            waiting: Rc::new(Waiting::new(&on.given_up)),
            open: OpenConnections::new(),
            idle_max: config.sizes.idle_max,
            pace: Pace::new(config.sizes.max),
        });
        let mut random = Random::seeded(on.seed);
        let connect = |at| {
            let is_extra = at >= config.sizes.min;
            Connection::start(Rc::clone(&setup), random.draw(), is_extra)
        };
        Pool {
            connections: (0..config.sizes.max).map(connect).collect(),
            turn: Cell::new(0),
            setup,
            memory: on.memory.clone(),
        }
    }

    /// The requests to stop a statement.
    pub(super) fn cancels(&self) -> &Cancels {
        self.setup.cancels.counts()
    }

    /// How many connections are up.
    pub(super) fn open_connections(&self) -> &OpenConnections {
        &self.setup.open
    }

    /// Asks, and asks again if the connection or the prepared statement turns out to be stale: all statements are reads,
    /// so asking twice does no harm.
    pub(super) async fn ask(
        &self,
        lookup: &Lookup,
        encode: impl AsyncFn(&Prepared) -> Result<Vec<Param>, LookupError>,
        rows_read: usize,
    ) -> Result<QueryRows, LookupError> {
        let make_ready = async |session: &Rc<Session>| {
            let prepared = session.prepared(lookup).await?;
            let params = encode(&prepared).await?;
            Ok((prepared, params))
        };
        let send = async |session: &Rc<Session>, (prepared, params): (Rc<Prepared>, _)| {
            let room = (rows_read, self.memory.read_shared());
            let found = prepared.query(&session.client, params, room).await;
            if let Err(failure) = &found
                && failure.recovery == Recovery::Prepare
            {
                session.forget(lookup, &prepared);
            }
            found
        };
        self.again((lookup, true), make_ready, send).await
    }

    /// The lookup's statement, prepared on some connection.
    pub(super) async fn prepared(&self, lookup: &Lookup) -> Result<Rc<Prepared>, LookupError> {
        let mut connections = self.connections.iter();
        if let Some(known) = connections.find_map(|connection| connection.known(lookup)) {
            return Ok(known);
        }
        let prepare = async |session: &Rc<Session>| session.prepared(lookup).await;
        let send = async |_: &Rc<Session>, prepared| Ok(prepared);
        self.again((lookup, false), prepare, send).await
    }

    /// `runs`: the statement runs, so that the time until the answer says how long it takes. It is sent in the same stretch in
    /// which it is counted, or in which it has become ready.
    async fn again<R, T>(
        &self,
        (lookup, runs): (&Lookup, bool),
        make_ready: impl AsyncFn(&Rc<Session>) -> Result<R, Failure>,
        send: impl AsyncFn(&Rc<Session>, R) -> Result<T, Failure>,
    ) -> Result<T, LookupError> {
        let (mut prepared_again, mut stopped) = (false, 0);
        // Whatever broke one connection may have broken all of them.
        let mut connections_left = self.connections.len();
        // When the first one broke.
        let mut broken_at = None;
        loop {
            let (connection, session, now) = self.place(lookup.id, runs).await?;
            let (asking, ready) = {
                let usual = runs.then(|| self.setup.durations.usual(lookup.id));
                let ask = |work| connection.ask(&session, lookup.id, (work, now));
                let mut ready = pin!(make_ready(&session));
                match poll!(ready.as_mut()) {
                    // The usual case.
                    Poll::Ready(ready) => (ask(usual.map_or(Work::Prepares, Work::Runs)), ready),
                    Poll::Pending => {
                        let mut asking = ask(usual.map_or(Work::Prepares, Work::WillRun));
                        let ready = ready.await;
                        if ready.is_ok() {
                            asking.is_ready();
                        }
                        (asking, ready)
                    }
                }
            };
            let sent = match ready {
                Ok(ready) => send(&session, ready).await,
                Err(failure) => Err(failure),
            };
            let heard = match &sent {
                Ok(_) if runs => Heard::Answer,
                Err(failure) if failure.is_of_server => Heard::Error,
                // A statement that is prepared already is not asked for.
                Ok(_) | Err(_) => Heard::Nothing,
            };
            let may_be_stopped = asking.may_be_stopped();
            asking.heard(heard);
            let failure = match sent {
                Ok(value) => {
                    self.setup.waiting.answered();
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            match failure.recovery {
                Recovery::Connect => {
                    connection.lost(&session);
                    let since = *broken_at.get_or_insert_with(Instant::now);
                    // One that was made since then was not stale, so those that are made next may well break as soon.
                    if connections_left == 0 || session.made > since {
                        return Err(failure.error);
                    }
                    connections_left -= 1;
                }
                Recovery::Prepare if !prepared_again => prepared_again = true,
                Recovery::Stopped if may_be_stopped && stopped < STOPPED_MAX => stopped += 1,
                Recovery::Prepare | Recovery::Stopped | Recovery::None => return Err(failure.error),
            }
        }
    }

    /// The connection for a statement of this lookup, and its session. Waits until there is one that may take it.
    async fn place(&self, lookup: usize, runs: bool) -> Result<Placed<'_>, LookupError> {
        let waiting = &*self.setup.waiting;
        let mut waiter = None;
        // One connection may be refused while another one comes up.
        let mut attempts_left = self.connections.len();
        if waiting.has(lookup) {
            // Others of this lookup come first.
            let behind = waiter.insert(waiting.join(lookup));
            Box::pin(behind.woken()).await;
        }
        loop {
            let now = Instant::now();
            let (turn, place) = self.find(lookup, runs, now);
            let at = match place {
                Place::At(at) | Place::Attempt(at) => (turn + at) % self.connections.len(),
                Place::Nowhere => {
                    let waiter = waiter.get_or_insert_with(|| waiting.join(lookup));
                    // Rare, and boxed to keep the future of every lookup small.
                    Box::pin(self.wait(waiter)).await;
                    continue;
                }
            };
            let connection = &self.connections[at];
            if matches!(place, Place::At(_)) {
                // It is up, so this does not wait.
                return Ok((connection, connection.session().await?, now));
            }
            let waiter = waiter.get_or_insert_with(|| waiting.join(lookup));
            let session = tokio::select! {
                biased;
                session = Box::pin(connection.session()) => session,
                () = Box::pin(self.another_is_up(waiter)) => continue,
            };
            attempts_left = attempts_left.saturating_sub(1);
            match session {
                // Others have waited for it, too: what may be sent now is found as ever.
                Ok(_) => {}
                Err(_) if attempts_left > 0 && self.may_come_up() => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Waits until a place may be free. If that takes long, another connection is opened.
    async fn wait(&self, waiter: &Waiter<'_>) {
        let at = waiter.since + GROWS_AFTER;
        if timeout_at(at, waiter.woken()).await.is_err() {
            self.grow();
            waiter.woken().await;
        }
    }

    /// Opens a connection, if there may be more. One at a time: a server that is slow to accept or refuses is not asked for
    /// another one meanwhile.
    fn grow(&self) {
        let is_settled = |one: &Connection| one.is_closed() || one.is_up();
        if self.connections.iter().all(is_settled)
            && let Some(closed) = self.connections.iter().find(|one| one.is_closed())
        {
            closed.open();
        }
    }

    /// Ends when a connection is up, whichever it is.
    async fn another_is_up(&self, waiter: &Waiter<'_>) {
        while !self.connections.iter().any(Connection::is_up) {
            waiter.woken().await;
        }
    }

    /// Whether a connection is up or about to be.
    fn may_come_up(&self) -> bool {
        let mut connections = self.connections.iter();
        connections.any(|one| one.is_up() || one.is_connecting())
    }

    /// Where a statement of this lookup may go now, counted from the returned turn.
    fn find(&self, lookup: usize, runs: bool, now: Instant) -> (usize, Place) {
        let turn = self.turn.get() % self.connections.len();
        self.turn.set(turn + 1);
        let (before, from) = self.connections.split_at(turn);
        let from_turn = from.iter().chain(before);
        let seen = from_turn.map(|connection| connection.seen(lookup, now));
        let usual = if runs {
            self.setup.durations.usual(lookup)
        } else {
            Usual::Quick
        };
        (turn, place(seen, usual))
    }
}
