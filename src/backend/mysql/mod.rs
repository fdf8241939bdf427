//! `kind = "mysql"`: SQL lookups in MySQL or MariaDB, over a few connections, each kept by its own task.
//!
//! In: a lookup's statement and parameters. Out: its rows, shaped. Statements are prepared and parameters are bound,
//! never spliced into the text; sessions are read-only. With `batch`, lookups of one event-loop iteration travel as one
//! `in (?, ?, ...)` (`batch.rs`). A lookup hands its question to a connection's task (`pool.rs`) and waits: if the
//! lookup is dropped, the task has the server stop the statement and reads the answer to its end, so no other lookup ever
//! sees it.

mod config;
mod options; // of a connection: where, who, with what
mod tls;
mod lookup;
mod batch; // several lookups as one question
mod pool; // the connections
mod query; // one question and its rows
mod client; // one connection
mod cancel; // stops abandoned statements
mod value;
mod types;
mod error;
mod examine;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use self::batch::{Batch, no_answer};
pub use self::config::Config;
pub use self::lookup::Lookup;
use self::pool::Pool;
use self::query::{BoundStatement, Sorting};
use super::cancels::{CancelRequests, Cancels};
use super::rows::RowList;
use super::{
    Answer, Answers, Ask, Backend, BatchedAsk, Compiled, Examination, Held, LookupError, OnLoop,
    OpenConnections, Planned, Unshared, sql,
};
use crate::config::Section;
use crate::error::Code;

/// A large answer waits for memory until so long before the lookup's deadline, so that the lookup hears why it failed.
const ANSWERS_BEFORE: Duration = Duration::from_millis(2);

/// One loop's connections to a MySQL or MariaDB server.
pub struct Mysql {
    pool: Pool,
    cancels: Rc<CancelRequests>,
    open: OpenConnections,
}

impl Backend for Mysql {
    type Config = Config;
    type Lookup = Lookup;

    const PREPARES: bool = true;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn address(config: &Config) -> Option<(String, u16)> {
        config.address()
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, planned: &[Planned<'_, Lookup>], on: &OnLoop) -> Self {
        let cancels = Rc::new(CancelRequests::new("MySQL"));
        let open = OpenConnections::new();
        Mysql {
            pool: pool::start(config, planned, on, (&cancels, &open)),
            cancels,
            open,
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        if lookup.batch.is_some() {
            let params = ask.params;
            let asked = [BatchedAsk { lookup, params }];
            let ask = async |answers: Answers<'_>| self.lookup_many(&asked, answers).await;
            return Answers::one(ask).await;
        }
        let question = BoundStatement {
            statement: lookup.id,
            sql: Arc::clone(&lookup.sql),
            params: lookup.bind(ask.params).await?,
            rows: lookup.rows,
            sorting: Sorting::None,
            waits_until: ask.deadline.checked_sub(ANSWERS_BEFORE),
        };
        let mut reply = self.pool.queue.ask(Rc::new(question)).await?;
        let rows = reply.rows.pop().ok_or_else(no_answer)??;
        Ok(Answer {
            first_answer: reply.first_answer,
            ..rows.answer(lookup.rows)?.holding(reply.held)
        })
    }

    fn batches(lookup: &Lookup) -> bool {
        lookup.batch.is_some()
    }

    fn batching(lookup: &Lookup) -> String {
        let batch = lookup.batch.as_ref();
        batch.map_or_else(String::new, |batch| sql::batching(batch.max, &batch.key))
    }

    /// By statement: a question is one statement with many values.
    fn lane(lookup: &Lookup) -> usize {
        lookup.id
    }

    fn unshared(lookup: &Lookup) -> Option<Unshared> {
        lookup.writes.map(|_verb| Unshared::Writes)
    }

    fn cancels(&self) -> Option<&Cancels> {
        Some(self.cancels.counts())
    }

    fn open_connections(&self) -> Option<&OpenConnections> {
        Some(&self.open)
    }

    /// One question per `max` different values, all at the same time.
    async fn lookup_many(&self, asked: &[BatchedAsk<'_, Lookup>], answers: Answers<'_>) {
        let Some(batch) = Batch::of(asked, answers) else {
            return;
        };
        let batch = &batch;
        let questions = batch.questions().map(async |(first, question)| {
            let give = |at, rows, found| batch.answer(first + at, rows, found, answers);
            self.ask_by_key(Rc::new(question), give).await;
        });
        join_all(questions).await;
    }
}

impl Mysql {
    /// Asks for several keys, and for each alone if they can't be asked together. Gives one answer per key.
    async fn ask_by_key(
        &self,
        question: Rc<BoundStatement>,
        give: impl Fn(usize, Result<RowList, LookupError>, (Option<Instant>, Held)),
    ) {
        let count = question.sorting.count();
        let reply = self.pool.queue.ask(Rc::clone(&question)).await;
        let of_one =
            |err: &LookupError| matches!(err.code, Code::LookupBadParam | Code::LookupBadAnswer);
        let parts = match &reply {
            Err(err) if of_one(err) => batch::parts(&question),
            _ => Vec::new(),
        };
        match reply {
            Ok(mut reply) => {
                let mut found = std::mem::take(&mut reply.rows).into_iter();
                // Exactly as many as were asked for, so that no key gets the value of another.
                for at in 0..count {
                    let rows = found.next().unwrap_or_else(|| Err(no_answer()));
                    give(at, rows, (reply.first_answer, reply.held.clone()));
                }
            }
            Err(err) if parts.is_empty() => {
                (0..count).for_each(|at| give(at, Err(err.clone()), (None, Held::default())));
            }
            Err(_) => {
                let parts = parts.into_iter().enumerate().map(async |(at, part)| {
                    let mut held = Held::default();
                    let reply = self.pool.queue.ask(Rc::new(part)).await;
                    let rows = reply.and_then(|mut reply| {
                        held = reply.held.clone();
                        reply.rows.pop().unwrap_or_else(|| Err(no_answer()))
                    });
                    give(at, rows, (None, held));
                });
                join_all(parts).await;
            }
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
