//! Writes log lines on its own thread, so that logging never waits for the reader of the log.
//!
//! In: whole lines, from any thread. Out: the same lines in the same order, as fast as they are read. A limited number may
//! wait; further lines are dropped and counted, and a line in their place says how many.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::recorder::{Dropped, Tally};

/// Lines that may wait to be written.
const WAITING_MAX: usize = 1024;
/// The memory that they may take together.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long the end of the program waits for the last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// Takes lines without ever waiting.
#[derive(Debug)]
pub(super) struct LogWriter {
    lines: SyncSender<Line>,
    state: Arc<State>,
}

/// Shared between the logging threads and the writing thread.
#[derive(Debug, Default)]
struct State {
    waiting_bytes: AtomicUsize,
    /// What became of all lines, for the metrics.
    tally: Arc<Tally>,
    /// Lines dropped since the number was last taken for a report.
    dropped: AtomicU64,
    closing: AtomicBool,
}

struct Line {
    /// Lines dropped just before it.
    dropped: u64,
    text: Vec<u8>,
}

/// When it is dropped, waits until all lines are written, for at most a second.
#[derive(Debug)]
pub(in crate::cli) struct Flush {
    writer: Arc<LogWriter>,
    /// Receives nothing. It is disconnected when the thread ends.
    ended: Receiver<()>,
}

impl Flush {
    /// What became of all lines.
    pub(in crate::cli) fn tally(&self) -> &Arc<Tally> {
        &self.writer.state.tally
    }
}

impl LogWriter {
    /// Starts the thread that writes to `sink`. `notice` makes the line that reports a number of dropped lines.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<(Arc<Self>, Flush)> {
        let (sender, lines) = sync_channel(WAITING_MAX);
        let (end, ended) = sync_channel(0);
        let state = Arc::new(State::default());
        let writer = Arc::new(LogWriter {
            lines: sender,
            state: Arc::clone(&state),
        });
        let mut writing = Writing {
            lines,
            state,
            sink,
            notice,
        };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let _end: SyncSender<()> = end;
                writing.run();
            })?;
        let flush = Flush {
            writer: Arc::clone(&writer),
            ended,
        };
        Ok((writer, flush))
    }

    /// Takes a whole line, or drops it.
    pub(super) fn take(&self, text: &[u8]) {
        let state = &self.state;
        let len = text.len();
        let before = state.waiting_bytes.fetch_add(len, Ordering::Relaxed);
        let dropped = state.dropped.swap(0, Ordering::Relaxed);
        let fits = before + len <= WAITING_BYTES_MAX;
        let line = |text: &[u8]| Line {
            dropped,
            text: text.to_vec(),
        };
        if !fits || self.lines.try_send(line(text)).is_err() {
            state.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
            state.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
            state.tally.count_dropped(Dropped::QueueFull, 1);
        }
    }
}

/// The formatter writes one whole line at a time.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The state of the writing thread.
struct Writing<S, N> {
    lines: Receiver<Line>,
    state: Arc<State>,
    sink: S,
    notice: N,
}

impl<S: Write, N: Fn(u64) -> String> Writing<S, N> {
    fn run(&mut self) {
        while let Some(line) = self.next() {
            self.report(line.dropped);
            self.write(&line.text);
            let len = line.text.len();
            // The line that wakes this thread at the end is empty.
            self.state.tally.count_sent(usize::from(len > 0));
            self.state.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
        }
    }

    /// The next line; `None` at the end, when all are written.
    fn next(&mut self) -> Option<Line> {
        match self.lines.try_recv() {
            Ok(line) => return Some(line),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return None,
        }
        // The next line may not come for a long time.
        let dropped = self.state.dropped.swap(0, Ordering::Relaxed);
        self.report(dropped);
        if self.state.closing.load(Ordering::Acquire) {
            return None;
        }
        self.lines.recv().ok()
    }

    fn report(&mut self, dropped: u64) {
        if dropped > 0 {
            let text = (self.notice)(dropped);
            self.write(text.as_bytes());
        }
    }

    /// Ignores errors: there is nowhere to report that the log can't be written.
    fn write(&mut self, text: &[u8]) {
        let _written = self.sink.write_all(text);
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.writer.state.closing.store(true, Ordering::Release);
        // Wakes the thread if it waits for a line. If the queue is full, the thread is not waiting.
        let wake = Line {
            dropped: 0,
            text: Vec::new(),
        };
        let _woken = self.writer.lines.try_send(wake);
        let _ended = self.ended.recv_timeout(FLUSH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Signals that a line arrived, and writes it once it is allowed to.
    struct Gate {
        came: Sender<()>,
        may: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            // The test may be over.
            let _over = self.came.send(());
            // If its sender is gone, the gate is open.
            let _open = self.may.recv();
            let text = String::from_utf8_lossy(text).into_owned();
            let len = text.len();
            let _over = self.written.send(text);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Test {
        writer: Arc<LogWriter>,
        flush: Flush,
        came: Receiver<()>,
        open: Sender<()>,
        written: Receiver<String>,
    }

    fn start() -> Test {
        let (came_sender, came) = channel();
        let (open, may) = channel();
        let (written_sender, written) = channel();
        let gate = Gate {
            came: came_sender,
            may,
            written: written_sender,
        };
        let notice = |dropped| format!("{dropped} dropped");
        let (writer, flush) = LogWriter::start(gate, notice).expect("a thread");
        Test {
            writer,
            flush,
            came,
            open,
            written,
        }
    }

    #[test]
    fn lines_are_written_in_order_and_none_is_lost_at_the_end() {
        let test = start();
        drop(test.open);
        for at in 0..500 {
            test.writer.take(at.to_string().as_bytes());
        }
        drop(test.flush);
        let written: Vec<String> = test.written.try_iter().collect();
        let expected: Vec<String> = (0..500).map(|at| at.to_string()).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn logging_never_waits_for_a_blocked_sink_and_dropped_lines_are_reported_in_their_place() {
        let test = start();
        test.writer.take(b"first");
        test.came.recv().expect("it is being written");
        for at in 0..WAITING_MAX + 5 {
            test.writer.take(at.to_string().as_bytes());
        }
        // Room for one.
        test.open.send(()).expect("it waits");
        test.came.recv().expect("the second is being written");
        test.writer.take(b"after five");
        test.writer.take(b"the sixth that is dropped");
        drop(test.open);
        let tally = Arc::clone(test.flush.tally());
        assert_eq!(tally.dropped(Dropped::QueueFull), 6);
        drop(test.flush);
        assert_eq!(tally.sent(), WAITING_MAX as u64 + 2);
        let written: Vec<String> = test.written.try_iter().collect();
        let queued = (0..WAITING_MAX).map(|at| at.to_string());
        let expected: Vec<String> = std::iter::once("first".to_owned())
            .chain(queued)
            .chain(["5 dropped", "after five", "1 dropped"].map(str::to_owned))
            .collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn fewer_long_lines_may_wait() {
        let test = start();
        let long = vec![b'x'; WAITING_BYTES_MAX / 2];
        test.writer.take(&long);
        test.came.recv().expect("it is being written");
        test.writer.take(&long);
        test.writer.take(b"one byte too many");
        drop(test.open);
        drop(test.flush);
        let lens: Vec<usize> = test.written.try_iter().map(|text| text.len()).collect();
        assert_eq!(lens[..3], [long.len(), long.len(), "1 dropped".len()]);
    }

    #[test]
    fn the_end_does_not_wait_forever_for_a_blocked_sink() {
        let test = start();
        for _ in 0..WAITING_MAX + 2 {
            test.writer.take(b"x");
        }
        // Nothing opens the gate.
        drop(test.flush);
        assert_eq!(test.written.try_recv().ok(), None);
    }
}
