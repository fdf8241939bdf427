//! Runs queries on a SQLite file in one thread: opens the file, reopens it, runs one query at a time.
//!
//! A file that could not be opened is tried again by the next lookup. At most once a second, before a lookup,
//! the path is checked: if the file was replaced (its device or inode differs; the way to replace a database is to rename
//! a new one over it) or removed, the path is opened again. Memory-mapped reading is off, because truncating a mapped
//! file would end the process.

use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use tokio::time::Instant;

use super::answer;
use super::config::Config;
use super::job::Job;
use super::queue::JobQueue;
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::value::FieldNames;

/// How long the file at the path is assumed to be unchanged.
const FILE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// The beginning of what is said of a missing file.
pub(super) const NO_FILE: &str = "there is no file";

/// How many of SQLite's instructions run between two checks of the deadline: some tens of microseconds.
const INSTRUCTIONS_PER_CHECK: i32 = 1000;

/// One thread's connection, and how to open it again.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    busy_timeout: Duration,
    value_bytes_max: usize,
    open: Option<Open>,
    /// For each statement, the column names of its last rows, which new rows share as long as they stay the same.
    names: Vec<Option<FieldNames>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    file: FileId,
    checked: Instant,
}

/// Device and inode; `None` if there is no file.
type FileId = Option<(u64, u64)>;

impl Store {
    /// Not opened yet: the first lookup does that.
    pub(super) fn new(config: &Config) -> Self {
        Store {
            path: config.path.clone(),
            busy_timeout: config.busy_timeout,
            value_bytes_max: config.value_bytes_max,
            open: None,
            names: vec![None; config.statements.load(Ordering::Relaxed)],
        }
    }

    /// Runs jobs until the queue is closed.
    pub(super) fn serve(mut self, queue: &JobQueue<Job>) {
        while let Some(job) = queue.pop() {
            if job.asker.strong_count() == 0 {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.run(&job)));
            let outcome = outcome.unwrap_or_else(|_| {
                let detail = "the thread of the SQLite file panicked";
                Err(LookupError::new(Code::ServerInternal, detail))
            });
            // This fails if the lookup was dropped meanwhile: then the answer is not needed.
            drop(job.answer.send(outcome));
        }
    }

    fn run(&mut self, job: &Job) -> Result<Answer, LookupError> {
        let now = Instant::now();
        if now >= job.deadline {
            let detail = "no thread became free before the deadline";
            return Err(LookupError::new(Code::LookupTimeoutPool, detail));
        }
        // Taken out, so that a panic leaves no half-used connection behind.
        let opened = self.take_open(now);
        let mut open = opened.map_err(|err| open_error(&self.path, &err))?;
        open.watch(job, self.busy_timeout.min(job.deadline - now))
            .map_err(|err| answer::error(&err))?;
        if self.names.len() <= job.statement {
            self.names.resize(job.statement + 1, None);
        }
        let names = &mut self.names[job.statement];
        let outcome = answer::ask(&open.connection, job, names);
        let lost = outcome
            .as_ref()
            .is_err_and(|err| matches!(err.code, Code::LookupUnavailable | Code::LookupBadAnswer));
        if !lost {
            self.open = Some(open);
        }
        outcome
    }

    /// The connection, opened again if there is none or the file was replaced.
    fn take_open(&mut self, now: Instant) -> rusqlite::Result<Open> {
        if let Some(mut open) = self.open.take() {
            if now < open.checked + FILE_CHECK_EVERY {
                return Ok(open);
            }
            if open.file == file_id(&self.path) {
                open.checked = now;
                return Ok(open);
            }
        }
        // Checked before it is opened: if it is replaced in between, the next check will notice.
        let file = file_id(&self.path);
        let connection = connect(&self.path, self.value_bytes_max)?;
        connection.set_prepared_statement_cache_capacity(self.names.len().max(1));
        Ok(Open {
            connection,
            file,
            checked: now,
        })
    }
}

impl Open {
    /// Interrupts the next query at its deadline or when its lookup is dropped, and makes it wait for locks for at most
    /// `patience`.
    fn watch(&mut self, job: &Job, patience: Duration) -> rusqlite::Result<()> {
        self.connection.busy_timeout(patience)?;
        let (deadline, asker) = (job.deadline, Weak::clone(&job.asker));
        let stop = move || asker.strong_count() == 0 || Instant::now() >= deadline;
        self.connection
            .progress_handler(INSTRUCTIONS_PER_CHECK, Some(stop))
    }
}

/// Why the file at `path` can't be opened, and where it was looked for.
pub(super) fn open_error(path: &Path, err: &rusqlite::Error) -> LookupError {
    let err = answer::error(err);
    let whole = std::path::absolute(path);
    let whole = whole.as_deref().unwrap_or(path).display();
    match std::fs::metadata(path) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            LookupError::new(err.code, format!("{NO_FILE} {whole}"))
        }
        Err(why) => LookupError::new(err.code, format!("{whole}: {why}")),
        Ok(found) if found.is_dir() => LookupError::new(
            err.code,
            format!("{whole} is a directory, not a SQLite file"),
        ),
        Ok(_) => err.at(whole),
    }
}

/// Opens a file for reading only.
pub(super) fn connect(path: &Path, value_bytes_max: usize) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let length = i32::try_from(value_bytes_max).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, length)?;
    // The configuration names one file; `attach` would open others.
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn file_id(path: &Path) -> FileId {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
