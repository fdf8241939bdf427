//! Holds the connections of one loop: sends each question to the least busy connection, and again if that connection
//! turns out to be stale.

use std::cell::Cell;
use std::rc::Rc;

use super::config::{Config, Lookup};
use super::connection::{Connection, Session, Setup};
use super::encode::Param;
use super::failure::{Failure, Recovery};
use super::statement::{Prepared, QueryRows};
use crate::backend::{LookupError, Planned, sql};
use crate::random::Random;

/// One loop's connections.
pub(super) struct Pool {
    connections: Vec<Connection>,
    /// The connection to consider first: equally busy ones take turns.
    turn: Cell<usize>,
}

impl Pool {
    /// Starts to connect in the background, on this loop.
    pub(super) fn start(config: &Config, planned: &[Planned<'_, Lookup>], seed: u64) -> Self {
        let mut settings = config.settings.clone();
        settings.statement_timeout = sql::statement_timeout(settings.statement_timeout, planned);
        let named = |planned: &Planned<'_, Lookup>| (planned.name.clone(), planned.lookup.clone());
        let setup = Rc::new(Setup {
            settings,
            planned: planned.iter().map(named).collect(),
        });
        let mut random = Random::seeded(seed);
        let connect = |_| Connection::start(Rc::clone(&setup), random.draw());
        Pool {
            connections: (0..config.connections).map(connect).collect(),
            turn: Cell::new(0),
        }
    }

    /// Asks, and asks again if the connection or the prepared statement turns out to be stale: all statements are reads,
    /// so asking twice does no harm.
    pub(super) async fn ask(
        &self,
        lookup: &Lookup,
        encode: impl Fn(&Prepared) -> Result<Vec<Param>, LookupError>,
        rows_read: usize,
    ) -> Result<QueryRows, LookupError> {
        let send = async |session: &Rc<Session>| {
            let prepared = session.prepared(lookup).await?;
            let params = encode(&prepared)?;
            let found = prepared.query(&session.client, params, rows_read).await;
            if let Err(failure) = &found
                && failure.recovery == Recovery::Prepare
            {
                session.forget(lookup, &prepared);
            }
            found
        };
        self.again(send).await
    }

    /// The lookup's statement, prepared on some connection.
    pub(super) async fn prepared(&self, lookup: &Lookup) -> Result<Rc<Prepared>, LookupError> {
        let prepare = async |session: &Rc<Session>| session.prepared(lookup).await;
        self.again(prepare).await
    }

    async fn again<T>(
        &self,
        send: impl AsyncFn(&Rc<Session>) -> Result<T, Failure>,
    ) -> Result<T, LookupError> {
        let mut prepared_again = false;
        // Whatever broke one connection may have broken all of them.
        let mut connections_left = self.connections.len();
        loop {
            let connection = self.next();
            let session = connection.session().await?;
            let asking = connection.ask(&session);
            let sent = send(&session).await;
            let is_of_server =
                !matches!(&sent, Err(failure) if failure.recovery == Recovery::Connect);
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
                Recovery::Prepare | Recovery::None => return Err(failure.error),
            }
        }
    }

    /// The connection to use: the least busy of those that are up.
    fn next(&self) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.get() % count;
        self.turn.set(turn + 1);
        let from_turn = (0..count).map(|step| &self.connections[(turn + step) % count]);
        from_turn
            .min_by_key(|connection| connection.load())
            .unwrap_or(&self.connections[turn])
    }
}
