//! Writes the access log on its own thread: a line for every call, to stdout or to a file.
//!
//! In: entries from a bounded queue, which loops fill without waiting. Out: text or JSON. If the file was moved or removed,
//! as programs that rotate logs do, another one is made in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use tracing::warn;

use super::access_line::{Clock, json, plain};
use crate::config;
use crate::recorder::{AccessEntry, Dropped, Tally};

/// How often the queue is looked at.
const GATHER: Duration = Duration::from_millis(100);
/// Lines that are written at once.
const BATCH_MAX: usize = 4096;
/// How long the end of the server waits for the last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// The access log. Dropping it writes what still waits, for at most a second.
#[derive(Debug)]
pub(super) struct AccessLog {
    stop: Arc<AtomicBool>,
    thread: Thread,
    /// Receives nothing. It is disconnected when the thread ends.
    ended: Receiver<()>,
}

impl AccessLog {
    /// Starts writing. Fails if the file can't be opened.
    pub(super) fn start(
        config: &config::AccessLog,
        entries: Receiver<AccessEntry>,
        tally: Arc<Tally>,
    ) -> io::Result<Self> {
        let sink: Sink = match &config.path {
            None => Sink::Stdout(io::stdout()),
            Some(path) => Sink::File(LogFile::open(path)?),
        };
        let (end, ended) = sync_channel(0);
        let stop = Arc::new(AtomicBool::new(false));
        let mut writing = Writing {
            entries,
            tally,
            sink,
            json: config.json,
            clock: Clock::default(),
            text: String::new(),
            fails: false,
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name("access log".into());
        let thread = thread.spawn(move || {
            let _end: SyncSender<()> = end;
            writing.run();
        })?;
        let thread = thread.thread().clone();
        Ok(AccessLog {
            stop,
            thread,
            ended,
        })
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        let _ended = self.ended.recv_timeout(FLUSH);
    }
}

enum Sink {
    Stdout(io::Stdout),
    File(LogFile),
}

/// The state of the writing thread.
struct Writing {
    entries: Receiver<AccessEntry>,
    tally: Arc<Tally>,
    sink: Sink,
    json: bool,
    clock: Clock,
    /// The memory in which lines are written.
    text: String,
    /// The last lines could not be written.
    fails: bool,
    stop: Arc<AtomicBool>,
}

impl Writing {
    fn run(&mut self) {
        loop {
            let is_stopping = self.stop.load(Ordering::Acquire);
            let entries = self.entries.try_iter().take(BATCH_MAX);
            let entries: Vec<AccessEntry> = entries.collect();
            if !entries.is_empty() {
                self.write(&entries);
                if !is_stopping && entries.len() < BATCH_MAX {
                    std::thread::park_timeout(GATHER);
                }
            } else if is_stopping {
                return;
            } else {
                std::thread::park_timeout(GATHER);
            }
        }
    }

    fn write(&mut self, entries: &[AccessEntry]) {
        let (text, clock) = (&mut self.text, &mut self.clock);
        text.clear();
        for entry in entries {
            let at = clock.text(entry.at);
            let line = if self.json { json } else { plain };
            line(text, entry, at).expect("a string takes what is written to it");
            text.push('\n');
        }
        let written = match &mut self.sink {
            Sink::Stdout(stdout) => stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush()),
            Sink::File(file) => file.write(text.as_bytes()),
        };
        match written {
            Ok(()) => {
                self.tally.count_sent(entries.len());
                self.fails = false;
            }
            Err(err) => {
                self.tally
                    .count_dropped(Dropped::Unreachable, entries.len());
                if !std::mem::replace(&mut self.fails, true) {
                    warn!(error = %err, "the access log can't be written");
                }
            }
        }
    }
}

/// A file that is appended to.
struct LogFile {
    path: PathBuf,
    file: File,
    /// Its device and number.
    is: (u64, u64),
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|err| {
            let why = format!(
                "can't open the access log `{}` (`log.access`): {err}",
                path.display()
            );
            io::Error::new(err.kind(), why)
        })?;
        let about = file.metadata()?;
        Ok(LogFile {
            path: path.to_owned(),
            file,
            is: (about.dev(), about.ino()),
        })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let at_path = std::fs::metadata(&self.path).ok();
        let is_same = at_path.is_some_and(|about| (about.dev(), about.ino()) == self.is);
        if !is_same {
            *self = LogFile::open(&self.path)?;
        }
        self.file.write_all(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::recorder::{Caller, Outbox, Outcome};
    use crate::timeline::Micros;

    fn entry() -> AccessEntry {
        AccessEntry {
            at: SystemTime::UNIX_EPOCH,
            method: "get".into(),
            outcome: Outcome::Ok,
            cause: None,
            lookup: None,
            took: Micros::new(1203),
            caller: Caller::Connection(7),
            peer: Some(([127, 0, 0, 1], 4711).into()),
            request_id: Some("a \"b\"\n".into()),
            trace: Some(0xab),
        }
    }

    #[test]
    fn lines_go_to_another_file_once_the_first_is_moved_and_none_is_lost_at_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("calls.log");
        let config = config::AccessLog {
            path: Some(path.clone()),
            json: true,
            queue: 100,
        };
        let lines =
            |path: &Path| std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
        let log = |entries: usize| {
            let (outbox, receiver) = Outbox::new(config.queue);
            let tally = Arc::clone(outbox.tally());
            let log = AccessLog::start(&config, receiver, Arc::clone(&tally)).expect("a file");
            for _ in 0..entries {
                outbox.put(entry());
            }
            drop(log);
            assert_eq!(tally.sent(), entries as u64);
        };
        log(50);
        assert_eq!(lines(&path), 50);
        let mut file = LogFile::open(&path).expect("it is there");
        let moved = folder.path().join("calls.log.1");
        std::fs::rename(&path, &moved).expect("the folder is ours");
        file.write(b"one\n").expect("a new file");
        assert_eq!((lines(&moved), lines(&path)), (50, 1));
        std::fs::remove_file(&path).expect("the folder is ours");
        file.write(b"one\n").expect("a new file");
        assert_eq!(lines(&path), 1);
        let missing = folder.path().join("none/calls.log");
        let config = config::AccessLog {
            path: Some(missing),
            ..config
        };
        let (_, receiver) = Outbox::new(1);
        let err = AccessLog::start(&config, receiver, Arc::default()).expect_err("no such folder");
        assert!(err.to_string().contains("log.access"), "{err}");
    }
}
