//! Gives freed memory back to the system, on a thread of its own.
//!
//! The allocator keeps freed memory for a second. Then the next thread that frees a page gives all of it back, and that was
//! often a loop, which stood still for some milliseconds meanwhile. This thread does it twice a second, so that a loop finds
//! nothing that is due.

use std::io;
use std::time::Duration;

use super::periodic::Periodic;
use crate::offload::yield_to_loops;

/// Shorter than the second for which the allocator keeps memory (its option `purge_delay`).
const EVERY: Duration = Duration::from_millis(500);

/// Starts to give memory back. Only for a process whose allocator is mimalloc: it would be in vain for another one.
pub(super) fn start() -> io::Result<Periodic> {
    Periodic::start("memory", |pauses| {
        yield_to_loops();
        while pauses.pause(EVERY) {
            give_back();
        }
    })
}

/// Gives back what all threads have freed, however short ago.
#[expect(unsafe_code, reason = "no crate offers this call in a safe way")]
fn give_back() {
    // SAFETY: it takes no pointers, may be called by any thread at any time, and only touches memory that is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
