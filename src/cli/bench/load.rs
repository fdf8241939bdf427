//! Defines the load of a run: which server gets which calls, and when. All connections of a run share it.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::calls::EncodedCalls;
use super::check::Checker;
use super::schedule::Schedule;
use super::tally::{Snapshot, Tally};
use super::usage::Process;
use crate::thrift::WireFormat;

/// What all connections of a run share.
pub(super) struct Load {
    pub(super) target: Destination,
    pub(super) calls: EncodedCalls,
    pub(super) schedule: Schedule,
    pub(super) checker: Checker,
    pub(super) tally: Tally,
    pub(super) server: Option<Process>,
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
    /// Host and port.
    pub(super) addr: String,
    /// The transport and protocol.
    pub(super) wire_format: WireFormat,
    /// How long to wait for a connection, and for each reply.
    pub(super) timeout: Duration,
    /// Calls in flight per connection.
    pub(super) pipeline: usize,
}

impl Destination {
    /// Opens a connection.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let connected = timeout(self.timeout, TcpStream::connect(&self.addr)).await;
        let stream = connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
