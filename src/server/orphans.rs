//! Reaps the processes that the kernel gives to the first process of a container, if this is it.
//!
//! The program starts no others. But a process whose own parent has ended becomes a child of the first one, as when a script
//! starts something in the background and then becomes this program. Unless somebody waits for it, it stays in the table of
//! processes after its end, and the container may run out of process ids.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::Poll;

use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The number of the first process.
const FIRST: u32 = 1;

/// Hears when a child has ended; `None` if there are none to wait for.
pub(super) struct Orphans(RefCell<Option<Signal>>);

impl Orphans {
    /// Those of this process, if it is the first one. To be called within a runtime, and only by the program: a library must
    /// not wait for the children of others.
    pub(super) fn of_process() -> Self {
        let is_first = std::process::id() == FIRST;
        let child = is_first.then(|| signal(SignalKind::child()).ok());
        // Some may have ended before.
        reap(is_first);
        Orphans(RefCell::new(child.flatten()))
    }

    /// Waits until some have ended, and reaps them.
    pub(super) async fn reap(of: Option<&Self>) {
        poll_fn(|cx| match of.map(|of| of.0.borrow_mut()).as_deref_mut() {
            Some(Some(child)) => child.poll_recv(cx),
            _ => Poll::Pending,
        })
        .await;
        reap(true);
    }
}

fn reap(is_first: bool) {
    while is_first && matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
}
