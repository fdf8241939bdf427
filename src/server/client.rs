//! The client at the other end of a connection, as the sockets know it.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::service::ConnectionMemory;

/// A client whose connection is served.
pub(super) struct Client {
    /// The names in its certificate.
    pub(super) names: Vec<String>,
    /// Counts the memory that its connection takes.
    pub(super) memory: Rc<ConnectionMemory>,
}

/// The address of a client, for the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Remote {
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix,
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Tcp(addr) => addr.fmt(f),
            Remote::Unix => f.write_str("unix"),
        }
    }
}
