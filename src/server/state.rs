//! What connections share: the state of their worker, and the settings of their listener.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::disconnect_log::DisconnectLog;
use crate::config::LimitsConfig;
use crate::metrics::LoopMetrics;
use crate::service::{Current, MemoryPool};
use crate::thrift::WireFormats;

/// Shared by all connections of a worker.
pub(super) struct WorkerState {
    pub(super) current: Rc<Current>,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Rc<LoopMetrics>,
    /// The memory that all its connections may take together.
    pub(super) memory_pool: Rc<MemoryPool>,
    /// The limit for all its listeners together.
    pub(super) connections_max: usize,
    /// Permits for TLS handshakes.
    pub(super) handshakes: Semaphore,
    pub(super) disconnect_log: DisconnectLog,
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
