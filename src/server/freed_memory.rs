//! Gives freed memory back to the system, on a thread of its own.
//!
//! The allocator keeps freed memory for a second. Then the next thread that frees a page gives all of it back, and that was
//! often a loop, which stood still for some milliseconds meanwhile. This thread does it twice a second, so that a loop finds
//! nothing that is due.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::offload::yield_to_loops;

/// Shorter than the second for which the allocator keeps memory (its option `purge_delay`).
const EVERY: Duration = Duration::from_millis(500);

/// The thread. It ends when this is dropped.
pub(super) struct FreedMemory {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FreedMemory {
    /// Starts to give memory back. Only for a process whose allocator is mimalloc: it would be in vain for another one.
    pub(super) fn start() -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let give = move || {
            yield_to_loops();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                give_back();
            }
        };
        let thread = std::thread::Builder::new().name("memory".into());
        Ok(FreedMemory {
            stop: Some(stop),
            thread: Some(thread.spawn(give)?),
        })
    }
}

impl Drop for FreedMemory {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once, or after it has given memory back.
            let _ended = thread.join();
        }
    }
}

/// Gives back what all threads have freed, however short ago.
#[expect(unsafe_code, reason = "no crate offers this call in a safe way")]
fn give_back() {
    // SAFETY: it takes no pointers, may be called by any thread at any time, and only touches memory that is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
