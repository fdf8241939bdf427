//! Descriptors that are kept for the admin port, for when the process has no others.

use std::cell::RefCell;
use std::fs::File;

/// One for each of a few connections at a time.
const RESERVE: usize = 4;

/// Open files that mean nothing; closing one makes room for a connection.
#[derive(Debug, Default)]
pub(super) struct FdReserve(RefCell<Vec<File>>);

impl FdReserve {
    /// Opens those that are not there, if that can be.
    pub(super) fn refill(&self) {
        let mut files = self.0.borrow_mut();
        while files.len() < RESERVE
            && let Ok(file) = File::open("/dev/null")
        {
            files.push(file);
        }
    }

    /// Closes one; whether there was one.
    pub(super) fn release(&self) -> bool {
        self.0.borrow_mut().pop().is_some()
    }
}
