//! `kind = "mysql"`: SQL lookups in MySQL or MariaDB, over a few connections, each kept by its own task.
//!
//! In: a lookup's statement and parameters. Out: its rows, shaped. Statements are prepared and parameters are bound,
//! never spliced into the text; sessions are read-only. With `batch`, lookups of one event-loop iteration travel as one
//! `in (?, ?, ...)` (`batch.rs`). A lookup hands its question to a connection's task (`pool.rs`) and waits: if the
//! lookup is dropped, the task still reads the answer to its end, so no other lookup ever sees it.

mod config;
mod options; // of a connection: where, who, with what
mod tls;
mod lookup;
mod batch; // several lookups as one question
mod pool; // the connections
mod query; // one question and its rows
mod client; // one connection
mod value;
mod types;
mod error;
mod examine;

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;

use self::batch::{Batch, no_answer};
pub use self::config::Config;
pub use self::lookup::Lookup;
use self::pool::Pool;
use self::query::{Answers, BoundStatement, Sorting};
use super::{Answer, Ask, Backend, BatchedAsk, Compiled, Examination, LookupError, Planned, sql};
use crate::config::Section;
use crate::error::Code;

/// One loop's connections to a MySQL or MariaDB server.
pub struct Mysql {
    pool: Pool,
}

impl Backend for Mysql {
    type Config = Config;
    type Lookup = Lookup;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, planned: &[Planned<'_, Lookup>], seed: u64) -> Self {
        Mysql {
            pool: pool::start(config, planned, seed),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        if lookup.batch.is_some() {
            let params = ask.params;
            let mut answers = self.lookup_many(&[BatchedAsk { lookup, params }]).await;
            return answers.pop().unwrap_or_else(|| Err(no_answer()));
        }
        let question = BoundStatement {
            statement: lookup.id,
            sql: Arc::clone(&lookup.sql),
            params: lookup.bind(ask.params)?,
            rows: lookup.rows,
            sorting: Sorting::None,
        };
        let mut reply = self.pool.queue.ask(Rc::new(question)).await?;
        Ok(Answer {
            first_answer: reply.first_answer,
            ..Answer::new(reply.values.pop().ok_or_else(no_answer)??)
        })
    }

    fn batches(lookup: &Lookup) -> bool {
        lookup.batch.is_some()
    }

    fn batching(lookup: &Lookup) -> String {
        let batch = lookup.batch.as_ref();
        batch.map_or_else(String::new, |batch| sql::batching(batch.max, &batch.key))
    }

    /// One question per lookup and `max` of its different values, all at the same time.
    async fn lookup_many(
        &self,
        asked: &[BatchedAsk<'_, Lookup>],
    ) -> Vec<Result<Answer, LookupError>> {
        let mut batch = Batch::default();
        for ask in asked {
            batch.add(ask);
        }
        let questions = batch.questions().into_iter();
        let replies = questions.map(async |(group, question)| {
            let count = question.sorting.count();
            (group, count, self.ask_by_key(Rc::new(question)).await)
        });
        let replies = join_all(replies).await;
        batch.answers(asked, replies)
    }
}

impl Mysql {
    /// Asks for several keys, and for each alone if they can't be asked together.
    async fn ask_by_key(&self, question: Rc<BoundStatement>) -> Result<Answers, LookupError> {
        let err = match self.pool.queue.ask(Rc::clone(&question)).await {
            Err(err) if matches!(err.code, Code::LookupBadParam | Code::LookupBadAnswer) => err,
            reply => return reply,
        };
        let parts = batch::parts(&question);
        if parts.is_empty() {
            return Err(err);
        }
        let parts = parts.into_iter();
        let replies = parts.map(|part| self.pool.queue.ask(Rc::new(part)));
        let replies = join_all(replies).await;
        let value =
            |reply: Result<Answers, LookupError>| reply?.values.pop().ok_or_else(no_answer)?;
        Ok(Answers {
            values: replies.into_iter().map(value).collect(),
            first_answer: None,
        })
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
