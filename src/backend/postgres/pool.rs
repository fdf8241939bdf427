//! Holds the connections of one loop: sends each question to the least busy connection, and again if that connection
//! turns out to be stale.
//!
//! The server works on the statements of one connection one after the other. So no lookup ever occupies all connections, and
//! those that are known to be slow leave one to the others together. A statement goes where it probably waits least.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

use super::config::{Config, Lookup};
use super::connection::{Connection, Session, Setup};
use super::encode::Param;
use super::failure::{Failure, Recovery};
use super::sent::Traffic;
use super::statement::{Prepared, QueryRows};
use crate::backend::cancels::{CancelRequests, Cancels};
use crate::backend::net::Durations;
use crate::backend::{LookupError, OnLoop, Planned, StoreMemory, sql};
use crate::random::Random;

/// How often a statement is asked again that was stopped instead of another one.
const STOPPED_MAX: u32 = 8;

/// One loop's connections.
pub(super) struct Pool {
    connections: Vec<Connection>,
    /// The connection to consider first: equally busy ones take turns.
    turn: Cell<usize>,
    durations: Durations,
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
        });
        let mut random = Random::seeded(on.seed);
        let connect = |_| Connection::start(Rc::clone(&setup), random.draw());
        Pool {
            connections: (0..config.connections).map(connect).collect(),
            turn: Cell::new(0),
            durations: Durations::default(),
            setup,
            memory: on.memory.clone(),
        }
    }

    /// The requests to stop a statement.
    pub(super) fn cancels(&self) -> &Cancels {
        self.setup.cancels.counts()
    }

    /// Asks, and asks again if the connection or the prepared statement turns out to be stale: all statements are reads,
    /// so asking twice does no harm.
    pub(super) async fn ask(
        &self,
        lookup: &Lookup,
        encode: impl AsyncFn(&Prepared) -> Result<Vec<Param>, LookupError>,
        rows_read: usize,
    ) -> Result<QueryRows, LookupError> {
        let send = async |session: &Rc<Session>| {
            let prepared = session.prepared(lookup).await?;
            let params = encode(&prepared).await?;
            let room = (rows_read, self.memory.read_shared());
            let found = prepared.query(&session.client, params, room).await;
            if let Err(failure) = &found
                && failure.recovery == Recovery::Prepare
            {
                session.forget(lookup, &prepared);
            }
            found
        };
        self.again(lookup, true, send).await
    }

    /// The lookup's statement, prepared on some connection.
    pub(super) async fn prepared(&self, lookup: &Lookup) -> Result<Rc<Prepared>, LookupError> {
        let mut connections = self.connections.iter();
        if let Some(known) = connections.find_map(|connection| connection.known(lookup)) {
            return Ok(known);
        }
        let prepare = async |session: &Rc<Session>| session.prepared(lookup).await;
        self.again(lookup, false, prepare).await
    }

    /// `runs`: the statement runs, so that the time until the answer says how long it takes.
    async fn again<T>(
        &self,
        lookup: &Lookup,
        runs: bool,
        send: impl AsyncFn(&Rc<Session>) -> Result<T, Failure>,
    ) -> Result<T, LookupError> {
        let (mut prepared_again, mut stopped) = (false, 0);
        // Whatever broke one connection may have broken all of them.
        let mut connections_left = self.connections.len();
        loop {
            let connection = self.next(lookup.id);
            let session = connection.session().await?;
            let asking = connection.ask(&session, lookup.id, runs.then_some(&self.durations));
            let sent = send(&session).await;
            let is_of_server = match &sent {
                // A statement that is prepared already is not asked for.
                Ok(_) => runs,
                Err(failure) => failure.is_of_server,
            };
            let may_be_stopped = asking.may_be_stopped();
            asking.answered(is_of_server);
            let failure = match sent {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match failure.recovery {
                Recovery::Connect => {
                    connection.lost(&session);
                    if connections_left == 0 {
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

    /// The connection for a statement of this lookup: the least busy of those that it may use.
    fn next(&self, lookup: usize) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.get() % count;
        self.turn.set(turn + 1);
        if count == 1 {
            return &self.connections[0];
        }
        let now = Instant::now();
        let from_turn = (0..count).map(|step| &self.connections[(turn + step) % count]);
        let traffic: Vec<_> = from_turn
            .map(|connection| (connection.traffic(now), connection))
            .collect();
        let least = |wanted: &dyn Fn(&Traffic, &Connection) -> bool| {
            let wanted = traffic
                .iter()
                .filter(|(traffic, connection)| wanted(traffic, connection));
            wanted
                .min_by_key(|(traffic, _)| *traffic)
                .map(|(_, connection)| *connection)
        };
        let is_slow = |traffic: &Traffic| matches!(traffic, Traffic::Slow { is_known: true, .. });
        let is_other = |traffic: &Traffic| {
            matches!(
                traffic,
                Traffic::Quick(_)
                    | Traffic::Slow {
                        is_known: false,
                        ..
                    }
            )
        };
        let others = traffic.iter().filter(|(traffic, _)| is_other(traffic));
        let holds = |connection: &Connection| connection.is_occupied_by(lookup, now);
        let holding = traffic.iter().filter(|(_, connection)| holds(connection));
        let kept = if holding.count() + 1 >= count {
            least(&|_, connection| holds(connection))
        } else if self.durations.is_slow(lookup) && others.count() <= 1 {
            least(&|traffic, _| is_slow(traffic))
        } else {
            None
        };
        let any = || least(&|_, _| true);
        kept.or_else(any).unwrap_or(&self.connections[turn])
    }
}
