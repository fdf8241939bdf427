//! One client's connection, from the accepted socket to its end, which is logged and counted.
//!
//! What goes over it is [`exchange`]'s business; its unanswered calls are in `calls.rs`, its times in `timeouts.rs`, and how
//! it ends when its client goes too far in `linger.rs`.

mod calls;
mod timeouts;
mod exchange;
mod linger;
mod poll_on_wake;

use std::io;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::disconnect_log::{DisconnectLog, Remote};
use crate::config::LimitsConfig;
use crate::error::Code;
use crate::metrics::{Closed, LoopMetrics};
use crate::service::{ConnectionMemory, Current, MemoryPool};
use crate::thrift::{Shapes, WireError};
use exchange::Exchange;

/// What all connections of a loop share.
pub(super) struct WorkerState {
    pub(super) current: Rc<Current>,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Rc<LoopMetrics>,
    /// What its connections may take up together.
    pub(super) memory_pool: Rc<MemoryPool>,
    /// Of all its listeners together.
    pub(super) connections_max: usize,
    /// Turns of TLS handshakes.
    pub(super) handshakes: Semaphore,
    pub(super) disconnect_log: DisconnectLog,
}

/// What a listener's connections may do.
pub(super) struct ListenerSettings {
    /// Its address, for the log.
    pub(super) listener: String,
    pub(super) limits: LimitsConfig,
    pub(super) wire_formats: WireFormats,
    pub(super) takes_tokens: bool,
    /// The `Tributary` service is served.
    pub(super) meta: bool,
}

/// Who connected.
pub(super) struct Client {
    /// The names in its certificate.
    pub(super) names: Vec<String>,
    /// Where what is kept of it is counted.
    pub(super) memory: Rc<ConnectionMemory>,
}

/// Why a connection ended other than by its client or by a drain.
enum Disconnect {
    Io(io::Error),
    Wire(WireError),
    Silent,
    Slow(Code),
    /// There was no room for the rest of a message.
    Overloaded,
}

impl From<io::Error> for Disconnect {
    fn from(err: io::Error) -> Self {
        Disconnect::Io(err)
    }
}

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
    let tell = |code, why, detail| {
        let whose = (remote, &*settings.listener);
        worker.disconnect_log.tell(whose, code, why, detail);
        metrics.wire_error(code);
    };
    let exchange = Exchange::new(client, settings, worker);
    metrics.connections_open.up();
    let why = match exchange.run(reader, writer, &worker.shutdown).await {
        Ok(why) => {
            debug!("connection closed");
            why
        }
        Err(Disconnect::Io(err)) => {
            debug!(error = %err, "connection lost");
            Closed::Lost
        }
        Err(Disconnect::Wire(err)) => {
            tell(err.code, "bad bytes", Some(&err.detail));
            Closed::BadBytes
        }
        Err(Disconnect::Silent) => {
            debug!("connection closed: idle");
            Closed::Idle
        }
        Err(Disconnect::Slow(code)) => {
            tell(code, "too slow", None);
            Closed::TooSlow
        }
        Err(Disconnect::Overloaded) => {
            tell(Code::ServerOverloaded, "no room for its message", None);
            Closed::Overloaded
        }
    };
    metrics.closed(why);
    metrics.connections_open.down();
}
