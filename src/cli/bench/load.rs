//! Defines the load of a run: which server gets which calls, and when. All connections of a run share it.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::calls::EncodedCalls;
use super::check::Checker;
use super::schedule::Schedule;
use super::tally::{Snapshot, Tally};
use super::usage::Process;
use crate::cli::dial::{Dialer, Stream};
use crate::thrift::{Foreign, WireFormat};

/// What all connections of a run share.
pub(super) struct Load {
    pub(super) target: Destination,
    pub(super) calls: EncodedCalls,
    pub(super) schedule: Schedule,
    pub(super) checker: Checker,
    pub(super) tally: Tally,
    pub(super) server: Option<Process>,
    pub(super) foreign: ForeignServer,
}

/// What the server is, if its first answer shows that it speaks another protocol.
#[derive(Default)]
pub(super) struct ForeignServer {
    seen: Cell<Option<Foreign>>,
    noticed: Notify,
}

impl ForeignServer {
    /// The answer was seen: the run can end.
    pub(super) fn see(&self, foreign: Foreign) {
        self.seen.set(Some(foreign));
        self.noticed.notify_one();
    }

    /// Ends when the answer is seen.
    pub(super) async fn seen(&self) -> Foreign {
        loop {
            if let Some(foreign) = self.seen.get() {
                return foreign;
            }
            self.noticed.notified().await;
        }
    }
}

impl Load {
    /// The figures so far.
    pub(super) fn snapshot(&self) -> Snapshot {
        let server = self.server.as_ref().and_then(Process::usage);
        self.tally.snapshot(server)
    }
}

/// The server to call, and how.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) dialer: Dialer,
    /// The transport and protocol.
    pub(super) wire_format: WireFormat,
    /// How long to wait for a connection, and for each reply.
    pub(super) timeout: Duration,
    /// Calls in flight per connection.
    pub(super) pipeline: usize,
}

impl Destination {
    /// Opens a connection.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let connected = timeout(self.timeout, self.dialer.connect()).await;
        connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    }
}
