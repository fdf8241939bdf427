//! `kind = "postgres"`: a lookup is one prepared statement, pipelined with others on a few shared connections.
//!
//! In: SQL with its parameters' values, bound by the types the server inferred. Out: rows, decoded exactly by
//! their columns' types. With `batch`, lookups of one event-loop iteration travel as one array, and each gets
//! the rows of its own key. Sessions are read-only and have a `statement_timeout`. The query of a dropped lookup may
//! go on in the server; its rows are thrown away by the connection's own task and reach no other lookup.

mod batch;
mod config;
mod connection;
mod decode;
mod encode;
mod examine;
mod failure;
mod statement;
mod tls;

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::join_all;

pub use self::config::{Config, Lookup};
use self::connection::{Connection, Session, Shared};
use self::encode::Param;
use self::failure::{Cure, Failure};
use self::statement::{Found, Prepared};
use super::{Answer, Ask, Asked, Backend, Compiled, Examination, LookupError, Planned, sql};
use crate::config::Section;
use crate::error::Code;
use crate::random::Random;

/// One loop's connections to a PostgreSQL server.
pub struct Postgres {
    connections: Vec<Connection>,
    /// The connection to consider first: equally busy ones take turns.
    turn: Cell<usize>,
}

impl Backend for Postgres {
    type Config = Config;
    type Lookup = Lookup;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, planned: &[Planned<'_, Lookup>], seed: u64) -> Self {
        let mut settings = config.settings.clone();
        settings.statement_timeout = sql::statement_timeout(settings.statement_timeout, planned);
        let named = |planned: &Planned<'_, Lookup>| (planned.name.clone(), planned.lookup.clone());
        let shared = Rc::new(Shared {
            settings,
            planned: planned.iter().map(named).collect(),
        });
        let mut random = Random::seeded(seed);
        let connect = |_| Connection::start(Rc::clone(&shared), random.draw());
        Postgres {
            connections: (0..config.connections).map(connect).collect(),
            turn: Cell::new(0),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let params = ask.params;
        if lookup.batch.is_some() {
            let asked = [Asked { lookup, params }];
            let mut answers = Box::pin(self.lookup_many(&asked)).await;
            let none = || Err(LookupError::new(Code::ServerInternal, "no answer"));
            return answers.pop().unwrap_or_else(none);
        }
        let encode = |prepared: &Prepared| prepared.encode(params);
        let found = self.ask(lookup, encode, lookup.rows_read()).await?;
        let value = lookup.rows.shape(found.records.into_iter().map(Ok))?;
        Ok(Answer {
            first_answer: found.first,
            ..Answer::new(value)
        })
    }

    fn batches(lookup: &Lookup) -> bool {
        lookup.batch.is_some()
    }

    fn batching(lookup: &Lookup) -> String {
        let batch = lookup.batch.as_ref();
        batch.map_or_else(String::new, |batch| sql::batching(batch.max, &batch.key))
    }

    /// One array per statement and `batch.max` different keys.
    async fn lookup_many(&self, asked: &[Asked<'_, Lookup>]) -> Vec<Result<Answer, LookupError>> {
        let groups = batch::by_statement(asked);
        let answers = groups.iter().map(|group| batch::ask(self, asked, group));
        let answers = join_all(answers).await;
        batch::in_order(asked.len(), groups, answers)
    }
}

impl Postgres {
    /// Asks. Asks again when the connection or the prepared statement turns out to be stale: all statements are reads,
    /// so asking twice does no harm.
    async fn ask(
        &self,
        lookup: &Lookup,
        encode: impl Fn(&Prepared) -> Result<Vec<Param>, LookupError>,
        rows_read: usize,
    ) -> Result<Found, LookupError> {
        let send = async |session: &Rc<Session>| {
            let prepared = session.prepared(lookup).await?;
            let params = encode(&prepared)?;
            let found = prepared.query(&session.client, params, rows_read).await;
            if let Err(failure) = &found
                && failure.cure == Cure::Prepare
            {
                session.forget(lookup, &prepared);
            }
            found
        };
        self.again(send).await
    }

    /// The lookup's statement, prepared on some connection.
    async fn prepared(&self, lookup: &Lookup) -> Result<Rc<Prepared>, LookupError> {
        let prepare = async |session: &Rc<Session>| session.prepared(lookup).await;
        self.again(prepare).await
    }

    async fn again<T>(
        &self,
        send: impl AsyncFn(&Rc<Session>) -> Result<T, Failure>,
    ) -> Result<T, LookupError> {
        let mut prepared_again = false;
        // The reason that broke one connection may have broken all of them.
        let mut connections_left = self.connections.len();
        loop {
            let connection = self.next();
            let session = connection.session().await?;
            let failure = match send(&session).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match failure.cure {
                Cure::Connect => {
                    connection.lost(&session);
                    if connections_left == 0 {
                        return Err(failure.error);
                    }
                    connections_left -= 1;
                }
                Cure::Prepare if !prepared_again => prepared_again = true,
                Cure::Prepare | Cure::None => return Err(failure.error),
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

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
