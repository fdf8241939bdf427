//! What connections share: the state of their worker, and the settings of their listener.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::disconnect_log::DisconnectLog;
use super::reload::Served;
use crate::config::LimitsConfig;
use crate::metrics::LoopMetrics;
use crate::random::Random;
use crate::service::{Current, MemoryPool, Overload};
use crate::thrift::WireFormats;

/// How long a client may take to send one more call once the server drains: if it called within that time, or if its
/// connection or handshake is complete only then.
const NEXT_CALL: Duration = Duration::from_secs(1);

/// Shared by all connections of a worker.
pub(super) struct WorkerState {
    pub(super) current: Rc<Current>,
    pub(super) shutdown: CancellationToken,
    /// Cancelled before `shutdown`: the server was asked to stop.
    pub(super) stopping: CancellationToken,
    /// Cancelled after `shutdown`: calls that still run have to end.
    pub(super) drain_is_over: CancellationToken,
    pub(super) metrics: Rc<LoopMetrics>,
    pub(super) overload: Rc<Overload>,
    /// The memory that all its connections may take together.
    pub(super) memory_pool: Rc<MemoryPool>,
    /// The limit for all its listeners together.
    pub(super) connections_max: usize,
    /// Permits for TLS handshakes.
    pub(super) handshakes: Semaphore,
    /// The last one is that of the last reload.
    pub(super) programs: watch::Receiver<Arc<Served>>,
    pub(super) disconnect_log: DisconnectLog,
    /// Spreads the ends of connections.
    pub(super) random: RefCell<Random>,
}

impl WorkerState {
    /// Ends the calls that have taken longer than the drain, each with a reply.
    pub(super) fn end_drain(&self) {
        self.metrics.end_drain();
        self.drain_is_over.cancel();
    }

    /// How long a client may take to send one more call once the server drains. There is as much time for the call itself.
    pub(super) fn next_call(&self) -> Duration {
        NEXT_CALL.min(self.programs.borrow().program.drain_timeout / 2)
    }
}

/// Shared by all connections of a listener.
pub(super) struct ListenerSettings {
    /// The listener's address, for the log.
    pub(super) listener: String,
    pub(super) limits: LimitsConfig,
    pub(super) wire_formats: WireFormats,
    pub(super) takes_tokens: bool,
    /// The `Tributary` service is served.
    pub(super) meta: bool,
    /// The only service that is served.
    pub(super) service: Option<Arc<str>>,
}
