//! Reserves descriptors for the admin port, so that it answers when the process has no others.

use std::cell::RefCell;
use std::fs::File;

/// One for each of a few simultaneous connections.
const RESERVE: usize = 4;

/// Open files without a purpose: closing one frees a descriptor for a connection.
#[derive(Debug, Default)]
pub(super) struct FdReserve(RefCell<Vec<File>>);

impl FdReserve {
    /// Reopens the missing ones, as far as possible.
    pub(super) fn refill(&self) {
        let mut files = self.0.borrow_mut();
        while files.len() < RESERVE
            && let Ok(file) = File::open("/dev/null")
        {
            files.push(file);
        }
    }

    /// Closes one. False if there is none left.
    pub(super) fn release(&self) -> bool {
        self.0.borrow_mut().pop().is_some()
    }
}
