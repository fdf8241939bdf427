//! Threads that do something again and again until they are dropped.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that works between pauses. When this is dropped, its pause ends, and then the thread.
pub(super) struct Periodic {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The pauses of such a thread.
pub(super) struct Pauses(Receiver<()>);

impl Periodic {
    /// Starts a thread of that name. `work` should return after the pause that says so.
    pub(super) fn start(
        name: &str,
        work: impl FnOnce(&Pauses) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || work(&Pauses(stopped)))?;
        Ok(Periodic {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Pauses {
    /// Waits for so long. False: the thread should end.
    pub(super) fn pause(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Periodic {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // At once, or after the work that it does now.
            let _ended = thread.join();
        }
    }
}
