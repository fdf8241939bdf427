//! Logs connections that the server closes because of what their clients did, at a limited rate.

use tracing::{debug, info};

use super::client::Remote;
use crate::error::Code;
use crate::log_limit::LogLimit;

/// The disconnects of one loop's connections.
#[derive(Debug, Default)]
pub(super) struct DisconnectLog(LogLimit);

impl DisconnectLog {
    /// Logs why a connection to `listener` is closed: at level info if the rate allows it, otherwise at debug.
    pub(super) fn report(
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
