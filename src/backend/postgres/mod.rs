//! `kind = "postgres"`: a lookup is one prepared statement, pipelined with others on a few shared connections.
//!
//! In: SQL with its parameters' values, bound by the types the server inferred. Out: rows, decoded exactly by
//! their columns' types. With `batch`, lookups of one event-loop iteration travel as one array, and each gets
//! the rows of its own key. Sessions are read-only and have a `statement_timeout`. The statement of a
//! dropped lookup is stopped in the server; the connection's own task discards its rows, so they never reach another lookup.

mod config;
mod tls;
mod pool; // the connections
mod hosts; // which server a connection leads to
mod connection; // one connection
mod driver; // moves its bytes
mod sent; // what a connection has before it
mod stopping; // when a statement that nobody waits for is stopped
mod cancel; // how
mod open; // makes a connection, directly or through a pooler
mod pooler; // keeps nothing in a session
mod statement; // one statement on one connection
mod batch; // several lookups as one question
mod encode; // parameters
mod decode; // columns
mod failure;
mod examine;
mod explain; // what planning a statement shows

pub use self::config::{Config, Lookup};
use self::pool::Pool;
use self::statement::Prepared;
use super::cancels::Cancels;
use super::{
    Answer, Answers, Ask, Backend, BatchedAsk, Compiled, Examination, LookupError, OnLoop, Planned,
    Unshared, sql,
};
use crate::config::Section;

/// One loop's connections to a PostgreSQL server.
pub struct Postgres {
    pool: Pool,
}

impl Backend for Postgres {
    type Config = Config;
    type Lookup = Lookup;

    const PREPARES: bool = true;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, planned: &[Planned<'_, Lookup>], on: &OnLoop) -> Self {
        Postgres {
            pool: Pool::start(config, planned, on),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let params = ask.params;
        if lookup.batch.is_some() {
            let asked = [BatchedAsk { lookup, params }];
            let ask = async |answers: Answers<'_>| self.lookup_many(&asked, answers).await;
            return Box::pin(Answers::one(ask)).await;
        }
        let encode = async |prepared: &Prepared| prepared.encode(params).await;
        let mut found = self.pool.ask(lookup, encode, lookup.rows_read()).await?;
        let value = lookup.rows.shape_all(std::mem::take(&mut found.rows))?;
        Ok(Answer {
            first_answer: found.first,
            held: std::mem::take(&mut found.held),
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

    /// By statement: the array of keys is that of one statement.
    fn lane(lookup: &Lookup) -> usize {
        lookup.id
    }

    fn unshared(lookup: &Lookup) -> Option<Unshared> {
        lookup.writes.then_some(Unshared::Writes)
    }

    fn cancels(&self) -> Option<&Cancels> {
        Some(self.pool.cancels())
    }

    /// One array per `batch.max` different keys.
    async fn lookup_many(&self, asked: &[BatchedAsk<'_, Lookup>], answers: Answers<'_>) {
        batch::ask(&self.pool, asked, answers).await;
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
