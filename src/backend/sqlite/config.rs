//! Reads `[backends.NAME]` of `kind = "sqlite"`, and defines its lookups.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::backend::rows::Rows;
use crate::config::Section;

/// The longest `busy_timeout`.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_mins(1);

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
    /// The number of statements, all of which a connection keeps prepared.
    pub(super) statements: AtomicUsize,
}

impl Config {
    /// Reads the keys.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
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
}

fn read_busy_timeout(section: &mut Section<'_>) -> Duration {
    let Some((time, place)) = section.duration("busy_timeout") else {
        return Duration::from_millis(100);
    };
    if time > BUSY_TIMEOUT_MAX {
        let help = "at most a minute: the thread answers no other lookup meanwhile";
        section.bad(&place, "a long time to wait for a lock", Some(help.into()));
    }
    time.min(BUSY_TIMEOUT_MAX)
}

/// A SQL lookup, compiled.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The number of its statement among those of the backend.
    pub(super) id: usize,
    pub(super) sql: Arc<str>,
    pub(super) rows: Rows,
}
