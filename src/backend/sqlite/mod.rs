//! `kind = "sqlite"`: SQL lookups in one SQLite file, opened read-only, on threads of its own.
//!
//! In: a lookup's statement and parameters. Out: its rows, shaped. Each loop has its own threads, so a
//! slow query or disk never holds a loop up; a bounded queue stands between. A dropped lookup is not started,
//! and if it runs already its query is interrupted, as it is at the lookup's deadline. The file may be missing,
//! locked or replaced at any time: lookups fail meanwhile and recover by themselves. Nothing here writes.

mod answer;
mod check;
mod examine;
mod queue;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::rows::Rows;
use super::sql::{self, Style};
use super::{Answer, Ask, Backend, Compiled, Examination, LookupError, Planned};
use crate::config::Section;
use crate::error::Code;
use queue::{Full, Queue};
use store::{Job, Store};

/// The longest that a query may be made to wait for a lock.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// A SQLite file as one loop sees it.
pub struct Sqlite {
    queue: Arc<Queue<Job>>,
    /// Why no thread could be started, if none could.
    stillborn: Option<String>,
}

/// `[backends.NAME]` of `kind = "sqlite"`.
#[derive(Debug)]
pub struct Config {
    /// The database file.
    pub path: PathBuf,
    /// Threads, each with a connection, per loop.
    pub threads: usize,
    /// How long a query waits for another process's lock before it fails.
    pub busy_timeout: Duration,
    /// How many lookups of a loop may wait for a thread; further ones are shed.
    pub queue: usize,
    /// The longest text or blob that a query may make or return.
    pub value_bytes_max: usize,
    /// How many statements the configuration has: what a connection keeps prepared.
    statements: AtomicUsize,
}

/// A SQL lookup, compiled.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Numbers the statements of one backend: where a thread keeps what it knows of each.
    id: usize,
    sql: Arc<str>,
    rows: Rows,
}

impl Backend for Sqlite {
    type Config = Config;
    type Lookup = Lookup;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        let path = section.required_string("path", "path = \"data.db\"");
        let threads = section.integer("threads", 1..=4).unwrap_or(1);
        let busy_timeout = read_busy_timeout(section);
        let queue = section.integer("queue", 1..=1_000_000).unwrap_or(1024);
        let value_bytes_max = section.size("value_bytes_max").unwrap_or(64 << 20);
        Some(Config {
            path: section.relative(&path?.0),
            threads: usize::try_from(threads).ok()?,
            busy_timeout,
            queue: usize::try_from(queue).ok()?,
            value_bytes_max,
            statements: AtomicUsize::new(0),
        })
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        let statement = sql::read(section, Style::Numbered);
        let rows = Rows::read(section);
        let (statement, place) = statement?;
        check::prepare(config, &statement.text, rows, &place, section)?;
        Some(Compiled {
            lookup: Lookup {
                id: config.statements.fetch_add(1, Ordering::Relaxed),
                sql: statement.text.into(),
                rows,
            },
            params: statement.params,
            yields: rows.yields(),
        })
    }

    async fn connect(config: &Config, _: &[Planned<'_, Lookup>], _seed: u64) -> Self {
        let queue = Arc::new(Queue::new(config.queue));
        let mut stillborn = None;
        let mut started = 0;
        for _ in 0..config.threads {
            let queue = Arc::clone(&queue);
            let store = Store::new(config);
            let thread = std::thread::Builder::new().name("sqlite".into());
            match thread.spawn(move || store.serve(&queue)) {
                Ok(_) => started += 1,
                Err(err) => stillborn = Some(format!("no thread could be started: {err}")),
            }
        }
        // With fewer threads than asked for the queue is served all the same.
        let stillborn = stillborn.filter(|_| started == 0);
        Sqlite { queue, stillborn }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        if let Some(why) = &self.stillborn {
            return Err(LookupError::new(Code::LookupUnavailable, why));
        }
        // Held by this future alone: once it is dropped, the thread sees that nobody asks any more.
        let asker = Arc::new(());
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            statement: lookup.id,
            sql: Arc::clone(&lookup.sql),
            rows: lookup.rows,
            params: ask.params.to_vec(),
            deadline: ask.deadline,
            asker: Arc::downgrade(&asker),
            answer: sender,
        };
        if let Err(Full(waiting)) = self.queue.push(job) {
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

fn read_busy_timeout(section: &mut Section<'_>) -> Duration {
    let Some((time, place)) = section.duration("busy_timeout") else {
        return Duration::from_millis(100);
    };
    if time > BUSY_TIMEOUT_MAX {
        let help = "at most a minute: the thread answers nobody else meanwhile";
        section.bad(&place, "a long time to wait for a lock", Some(help.into()));
    }
    time.min(BUSY_TIMEOUT_MAX)
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
