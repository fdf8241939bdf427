//! One client's connection, from the accepted socket to its end, which is logged and counted.

mod exchange;
mod inbound; // bytes to messages
mod calls;
mod outbound; // replies to bytes
mod timeouts;
mod lifetime; // its greatest age
mod poll_on_wake;
mod drain; // what is still read once the server drains
mod linger; // the lingering close
mod disconnect;

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::client::{Client, Remote};
use super::state::{ListenerSettings, WorkerState};
use crate::error::Code;
use crate::metrics::Closed;
use disconnect::Disconnect;
use exchange::Exchange;

/// Serves one connection, given as its two halves, to its end.
pub(super) async fn serve<R, W>(
    (reader, writer): (R, W),
    client: Client,
    remote: Remote,
    settings: &ListenerSettings,
    worker: &WorkerState,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let metrics = &worker.metrics;
    let report = |code, why, detail| {
        let whose = (remote, &*settings.listener);
        worker.disconnect_log.report(whose, code, why, detail);
        metrics.wire_error(code);
    };
    let exchange = Exchange::new(client, settings, worker);
    metrics.connections_open.up();
    let why = match exchange.run(reader, writer, worker).await {
        Ok(why) => {
            debug!("connection closed");
            why
        }
        Err(Disconnect::Io(err)) => {
            debug!(error = %err, "connection lost");
            Closed::Lost
        }
        Err(Disconnect::Wire(err)) => {
            report(err.code, "bad bytes", Some(&err.detail));
            Closed::BadBytes
        }
        Err(Disconnect::Idle) => {
            debug!("connection closed: idle");
            Closed::Idle
        }
        Err(Disconnect::Slow(code)) => {
            report(code, "too slow", None);
            Closed::TooSlow
        }
        Err(Disconnect::Overloaded) => {
            report(Code::ServerOverloaded, "no memory for its message", None);
            Closed::Overloaded
        }
    };
    metrics.closed(why);
    metrics.connections_open.down();
}

#[cfg(test)]
mod tests;
