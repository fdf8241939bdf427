//! Says whether the server is going to close a connection, so that its replies can tell the client.

use std::cell::Cell;

use tokio_util::sync::CancellationToken;

/// What the calls of one connection know about its end.
#[derive(Debug)]
pub struct Closing {
    /// Cancelled once the server was asked to stop.
    stopping: CancellationToken,
    closes: Cell<bool>,
}

impl Closing {
    /// For a connection of a server that stops once `stopping` is cancelled.
    pub fn new(stopping: CancellationToken) -> Self {
        Closing {
            stopping,
            closes: Cell::new(false),
        }
    }

    /// The server closes the connection after one of its next replies.
    pub fn announce(&self) {
        self.closes.set(true);
    }

    /// Whether the client should send its next call over another connection.
    pub(super) fn is_announced(&self) -> bool {
        self.closes.get() || self.stopping.is_cancelled()
    }
}
