//! `kind = "postgres"`: a lookup is one prepared statement, pipelined with others on a few shared connections.
//!
//! In: SQL with its parameters' values, bound by the types the server inferred. Out: rows, decoded exactly by
//! their columns' types. With `batch`, lookups of one event-loop iteration travel as one array, and each gets
//! the rows of its own key. Sessions are read-only and have a `statement_timeout`. The statement of a
//! dropped lookup is stopped in the server; the connection's own task discards its rows, so they never reach another lookup.

mod config;
mod tls;
mod pool; // the connections
mod place; // which of them takes a statement
mod waiting; // what none of them may take yet
mod hosts; // which server a connection leads to
mod connection; // one connection
mod dialer; // keeps it up
mod session; // the statements prepared on it
mod listening; // hears what changes
mod driver; // moves its bytes
mod sent; // what a connection has before it
mod stopping; // when an abandoned statement is stopped
mod cancel; // how
mod open; // makes a connection, directly or through a pooler
mod pooler; // keeps nothing in a session
mod statement; // one statement on one connection
mod batch; // several lookups as one question
mod batch_key; // and what tells their rows apart
mod encode; // parameters
mod decode; // columns
mod failure;
mod examine;
mod explain; // what planning a statement shows

pub use self::config::{Config, Lookup};
use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use tokio_postgres::config::TargetSessionAttrs;

use self::config::Pooler;
use self::listening::Listening;
use self::pool::Pool;
use self::statement::Prepared;
use super::cancels::Cancels;
use super::changes::anything_on;
use super::{
    Answer, Answers, Ask, Backend, BatchedAsk, Changes, Compiled, Examination, Invalidate,
    LookupError, NotHeard, OnLoop, OpenConnections, Planned, Unshared, sql,
};
use crate::config::Section;
use crate::value::Value;

/// One loop's connections to a PostgreSQL server.
pub struct Postgres {
    pool: Pool,
    /// Hears what has changed, if answers are kept until then.
    listening: Option<Rc<Listening>>,
}

impl Backend for Postgres {
    type Config = Config;
    type Lookup = Lookup;

    const PREPARES: bool = true;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn address(config: &Config) -> Option<(String, u16)> {
        hosts::only_address(&config.settings.client)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, planned: &[Planned<'_, Lookup>], on: &OnLoop) -> Self {
        let channels = planned.iter().filter_map(|of| match of.invalidate? {
            Invalidate::Channel { name, .. } => Some(Arc::clone(name)),
            Invalidate::Keys => None,
        });
        let channels: Vec<_> = channels.collect();
        let listening = || match on.hearing.clone().map(Rc::downcast::<Listening>) {
            Some(Ok(listening)) => listening,
            _ => Rc::new(Listening::start(&config.settings, channels.clone(), on)),
        };
        Postgres {
            pool: Pool::start(config, planned, on),
            listening: (!channels.is_empty()).then(listening),
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
        let found = self.pool.ask(lookup, encode, lookup.rows_read()).await?;
        found.answer(lookup.rows)
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

    fn is_heard(config: &Config, _lookup: &Lookup, how: &Invalidate) -> Result<(), NotHeard> {
        let client = &config.settings.client;
        let hosts = client.get_hosts().len().max(client.get_hostaddrs().len());
        Err(match how {
            Invalidate::Keys => (
                "PostgreSQL does not say by itself what has changed",
                "name a channel on which writers say it: `invalidate = { listen = \"planes\" }`",
            ),
            Invalidate::Channel { .. } if config.settings.pooler == Pooler::Transaction => (
                "a pooler in transaction mode lends sessions to others: nothing can be heard there",
                "leave `invalidate` out, or connect without the pooler",
            ),
            Invalidate::Channel { .. }
                if hosts > 1
                    && client.get_target_session_attrs() != TargetSessionAttrs::ReadWrite =>
            {
                (
                    "with several hosts, a standby may still have old rows after the primary has said that they have changed",
                    "add `target_session_attrs=read-write` to the URL, or leave `invalidate` out",
                )
            }
            Invalidate::Channel { .. } => return Ok(()),
        })
    }

    fn keys(
        _lookup: &Lookup,
        params: &[Value],
        how: &Invalidate,
        each: &mut dyn FnMut(&[&[u8]]),
    ) -> Option<()> {
        let Invalidate::Channel { name, key } = how else {
            return None;
        };
        let channel = name.as_bytes();
        let Some(at) = key else {
            // Whatever is said there is about it.
            each(&anything_on(channel));
            return Some(());
        };
        each(&[channel]);
        listening::each_key(params.get(*at)?, &mut |key| each(&[channel, key]))
    }

    /// The channel.
    fn hears_of<'l>(_lookup: &'l Lookup, how: &'l Invalidate) -> &'l str {
        match how {
            Invalidate::Channel { name, .. } => name,
            Invalidate::Keys => "",
        }
    }

    fn hearing(&self) -> Option<Rc<dyn Any>> {
        Some(Rc::clone(self.listening.as_ref()?) as Rc<dyn Any>)
    }

    fn changes(&self) -> Option<&Rc<Changes>> {
        Some(self.listening.as_ref()?.changes())
    }

    fn cancels(&self) -> Option<&Cancels> {
        Some(self.pool.cancels())
    }

    fn open_connections(&self) -> Option<&OpenConnections> {
        Some(self.pool.open_connections())
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
