//! `kind = "sqlite"`: SQL lookups in one SQLite file, opened read-only, on its own threads.
//!
//! In: a lookup's statement and parameters. Out: its rows, shaped. Each loop hands its lookups through a bounded queue
//! to its own threads, so that a slow query or disk never blocks a loop. A dropped lookup is not started; if its query
//! is already running, the query is interrupted, as it is at the lookup's deadline. The file may be missing, locked or
//! replaced at any time: lookups fail meanwhile and recover by themselves. Nothing here writes.

mod config;
mod check; // a statement while the configuration is read
mod job;
mod queue; // from a loop to threads
mod store; // one thread
mod answer;
mod examine;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

pub use self::config::{Config, Lookup};
use self::job::Job;
use self::queue::{JobQueue, QueueFull};
use self::store::Store;
use super::lookup::owned;
use super::rows::Rows;
use super::sql::{self, Style};
use super::{Answer, Ask, Backend, Compiled, Enums, Examination, LookupError, OnLoop, Planned};
use crate::config::Section;
use crate::error::Code;

/// How to fix a file that can't be opened, if the error's text says that this is what is wrong.
pub fn help(detail: &str) -> Option<&'static str> {
    let is_missing = detail.starts_with(store::NO_FILE);
    is_missing
        .then_some("create it, or correct `path`, which begins at the folder of the configuration")
}

/// A SQLite file as one loop sees it.
pub struct Sqlite {
    queue: Arc<JobQueue<Job>>,
    /// The reason, if no thread could be started.
    start_error: Option<String>,
}

impl Backend for Sqlite {
    type Config = Config;
    type Lookup = Lookup;

    /// It is on this machine: what fails here is the question.
    const FAILS: bool = false;

    const PREPARES: bool = true;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        let statement = sql::read(section, Style::Numbered);
        let rows = Rows::read(section);
        let enums = Enums::read(section, Enums::Unstated);
        let (statement, place) = statement?;
        check::prepare(config, &statement.text, rows, &place, section)?;
        Some(Compiled {
            lookup: Lookup {
                id: config.statements.fetch_add(1, Ordering::Relaxed),
                sql: statement.text.into(),
                rows,
            },
            params: statement.params,
            enums,
            yields: rows.yields(),
        })
    }

    async fn connect(config: &Config, _: &[Planned<'_, Lookup>], _: &OnLoop) -> Self {
        let queue = Arc::new(JobQueue::new(config.queue));
        let mut start_error = None;
        let mut started = 0;
        for _ in 0..config.threads {
            let queue = Arc::clone(&queue);
            let store = Store::new(config);
            let thread = std::thread::Builder::new().name("sqlite".into());
            match thread.spawn(move || store.serve(&queue)) {
                Ok(_) => started += 1,
                Err(err) => start_error = Some(format!("no thread could be started: {err}")),
            }
        }
        // Fewer threads than configured still serve the queue.
        let start_error = start_error.filter(|_| started == 0);
        Sqlite { queue, start_error }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        if let Some(why) = &self.start_error {
            return Err(LookupError::new(Code::LookupUnavailable, why));
        }
        // Owned only by this future, so the thread can see when the lookup is dropped.
        let asker = Arc::new(());
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            statement: lookup.id,
            sql: Arc::clone(&lookup.sql),
            rows: lookup.rows,
            params: owned(ask.params).await,
            deadline: ask.deadline,
            asker: Arc::downgrade(&asker),
            answer: sender,
        };
        if let Err(QueueFull(waiting)) = self.queue.push(job) {
            let detail = format!("{waiting} lookups wait already (`queue`)");
            return Err(LookupError::new(Code::LookupShed, detail));
        }
        let answer = receiver.await;
        drop(asker);
        answer.unwrap_or_else(|_| {
            let detail = "the thread of the SQLite file gave no answer";
            Err(LookupError::new(Code::ServerInternal, detail))
        })
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
