//! Logs how much memory the process may use, and how the limits of the configuration fit that.

use tracing::{info, warn};

use crate::memory_limit::MemoryLimit;
use crate::program::Program;

/// Logs what the process may use of memory, and what the limits of the configuration let clients, stores and caches use.
pub(super) fn log_memory(program: &Program, memory: MemoryLimit) {
    let limits = &program.limits;
    let caches = program.lookups.iter();
    let caches = caches.filter_map(|lookup| lookup.sharing.cache.as_ref());
    let caches: usize = caches.map(|cache| cache.bytes).sum();
    let per_loop = [limits.buffered_bytes_max, limits.store_bytes_max, caches];
    let per_loop = per_loop.into_iter().fold(0, usize::saturating_add);
    let used = u64::try_from(per_loop.saturating_mul(program.workers)).unwrap_or(u64::MAX);
    info!(
        limit = mib(memory.bytes),
        of = memory.source.as_str(),
        buffered_bytes_max = mib(limits.buffered_bytes_max as u64),
        store_bytes_max = mib(limits.store_bytes_max as u64),
        caches = mib(caches as u64),
        loops = program.workers,
        "memory"
    );
    if used > memory.bytes {
        warn!(
            limit = mib(memory.bytes),
            may_use = mib(used),
            "`buffered_bytes_max`, `store_bytes_max` and the `bytes` of caches on all loops exceed the memory limit"
        );
    }
}

/// `512MiB`
fn mib(bytes: u64) -> String {
    format!("{}MiB", bytes / (1024 * 1024))
}
