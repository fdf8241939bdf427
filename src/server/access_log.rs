//! Writes the access log on its own thread: a line for every call, to stdout or to a file.
//!
//! In: entries from a bounded queue, which loops fill without waiting. Out: text or JSON. If the file was moved or removed,
//! as programs that rotate logs do, another one is made in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use tracing::warn;

use crate::config;
use crate::recorder::{AccessEntry, Dropped, Outcome, Tally};

/// How often the queue is looked at.
const GATHER: Duration = Duration::from_millis(100);
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
    /// The last lines could not be written.
    fails: bool,
    stop: Arc<AtomicBool>,
}

impl Writing {
    fn run(&mut self) {
        loop {
            let is_stopping = self.stop.load(Ordering::Acquire);
            let entries: Vec<AccessEntry> = self.entries.try_iter().collect();
            if !entries.is_empty() {
                self.write(&entries);
                if !is_stopping {
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
        let mut text = Vec::new();
        for entry in entries {
            let line = if self.json { json(entry) } else { plain(entry) };
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        let written = match &mut self.sink {
            Sink::Stdout(stdout) => stdout.write_all(&text).and_then(|()| stdout.flush()),
            Sink::File(file) => file.write(&text),
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
    file: BufWriter<File>,
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
            file: BufWriter::new(file),
            is: (about.dev(), about.ino()),
        })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let at_path = std::fs::metadata(&self.path).ok();
        let is_same = at_path.is_some_and(|about| (about.dev(), about.ino()) == self.is);
        if !is_same {
            *self = LogFile::open(&self.path)?;
        }
        self.file.write_all(text)?;
        self.file.flush()
    }
}

fn outcome(entry: &AccessEntry) -> (&'static str, Option<&'static str>) {
    match entry.outcome {
        Outcome::Failed(code) => ("failed", Some(code.as_str())),
        other => (other.as_str(), None),
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(at).to_string()
}

/// `2026-11-30T08:00:00.000000Z get ok 1203us 127.0.0.1:4711 web`, then `code=`, `request_id=` and `trace_id=`, if any.
fn plain(entry: &AccessEntry) -> String {
    let (word, code) = outcome(entry);
    let peer = entry
        .peer
        .map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
    let code = code.map(|code| format!(" code={code}"));
    let id = entry.request_id.as_ref();
    let id = id.map(|id| format!(" request_id={id:?}"));
    let trace = entry.trace.map(|trace| format!(" trace_id={trace:032x}"));
    format!(
        "{} {} {word} {}us {peer} {:?}{}{}{}",
        time(entry.at),
        entry.method,
        entry.took.get(),
        entry.caller.to_string(),
        code.unwrap_or_default(),
        id.unwrap_or_default(),
        trace.unwrap_or_default(),
    )
}

fn json(entry: &AccessEntry) -> String {
    let (word, code) = outcome(entry);
    serde_json::json!({
        "time": time(entry.at),
        "method": &*entry.method,
        "outcome": word,
        "code": code,
        "took_us": entry.took.get(),
        "peer": entry.peer.map(|peer| peer.to_string()),
        "caller": entry.caller.to_string(),
        "request_id": entry.request_id.as_deref(),
        "trace_id": entry.trace.map(|trace| format!("{trace:032x}")),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::recorder::{Caller, Outbox};
    use crate::timeline::Micros;

    fn entry(outcome: Outcome) -> AccessEntry {
        AccessEntry {
            at: SystemTime::UNIX_EPOCH,
            method: "get".into(),
            outcome,
            took: Micros::new(1203),
            caller: Caller::Connection(7),
            peer: Some(([127, 0, 0, 1], 4711).into()),
            request_id: Some("a \"b\"\n".into()),
            trace: Some(0xab),
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_the_client_calls_it() {
        let line = plain(&entry(Outcome::Failed(Code::CallDeadline)));
        let expected = "1970-01-01T00:00:00.000000Z get failed 1203us 127.0.0.1:4711 \"connection 7\" code=call.deadline \
             request_id=\"a \\\"b\\\"\\n\" trace_id=000000000000000000000000000000ab";
        assert_eq!(line, expected);
        let local = AccessEntry {
            peer: None,
            request_id: None,
            trace: None,
            ..entry(Outcome::Partial)
        };
        assert!(plain(&local).ends_with(" get partial 1203us unix \"connection 7\""));
        let json: serde_json::Value =
            serde_json::from_str(&json(&entry(Outcome::Ok))).expect("JSON");
        assert_eq!(
            (&json["outcome"], &json["code"]),
            (&"ok".into(), &serde_json::Value::Null)
        );
        assert_eq!(
            (&json["took_us"], &json["request_id"]),
            (&1203.into(), &"a \"b\"\n".into())
        );
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
                outbox.put(entry(Outcome::Ok));
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
