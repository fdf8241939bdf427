//! What the log says of connections that are closed for what their clients do: who it was and where, and no more often
//! than somebody reads it.

use std::fmt;
use std::net::SocketAddr;

use tracing::{debug, info};

use crate::error::Code;
use crate::log_limit::LogLimit;

/// Who connected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Remote {
    Tcp(SocketAddr),
    /// Somebody on this machine.
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

/// What was told of one loop's connections.
#[derive(Debug, Default)]
pub(super) struct DisconnectLog(LogLimit);

impl DisconnectLog {
    /// Says `why` a connection to `listener` is closed: at level info if it is time to, at debug in any case.
    pub(super) fn tell(
        &self,
        (peer, listener): (Remote, &str),
        code: Code,
        why: &'static str,
        detail: Option<&str>,
    ) {
        match self.0.allow(code) {
            Some(suppressed) => {
                info!(%code, detail, %peer, listener, suppressed, "connection closed: {why}");
            }
            None => debug!(%code, detail, %peer, listener, "connection closed: {why}"),
        }
    }
}
