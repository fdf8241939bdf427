//! Runs long computations on other threads, so that a loop goes on meanwhile.
//!
//! Decoding, converting or encoding a large answer takes longer than a loop may be held. Such work waits for one of a few
//! threads, at most one per processor. Small work stays on the loop: handing it over would cost more than it takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// With more bytes to decode, work leaves the loop: about a quarter of a millisecond.
pub(crate) const LARGE_BYTES: usize = 32 * 1024;
/// With more values to convert or encode, work leaves the loop: about a quarter of a millisecond.
pub(crate) const LARGE_VALUES: usize = 4096;
/// The maximum number of jobs that wait for a thread. Further ones are refused.
pub(crate) const WAITING_MAX: usize = 256;
/// More threads would only take processors from the loops.
pub(crate) const THREADS_MAX: usize = 4;

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// Too much other work waits.
    Refused,
    /// It panicked.
    Panicked,
}

/// How much work left the loops since the process began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offloaded {
    pub(crate) jobs: u64,
    pub(crate) refused: u64,
    pub(crate) waiting: usize,
}

static THREADS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, usize::from);
    Semaphore::new(processors.min(THREADS_MAX))
});
static WAITING: AtomicUsize = AtomicUsize::new(0);
static JOBS: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Counts a job for as long as it waits.
struct Waiting;

impl Waiting {
    fn begin() -> Option<Self> {
        if WAITING.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return Some(Waiting);
        }
        drop(Waiting);
        None
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does `work` on another thread. If the future is dropped, work that has begun goes on, and its result is dropped there.
pub(crate) async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    let Some(waiting) = Waiting::begin() else {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        return Err(NotDone::Refused);
    };
    let permit = THREADS.acquire().await;
    let permit = permit.map_err(|_closed| NotDone::Refused)?;
    drop(waiting);
    JOBS.fetch_add(1, Ordering::Relaxed);
    let done = spawn_blocking(move || {
        // The thread is free only when the work is done, even if nobody waits for it any more.
        let _permit = permit;
        catch_unwind(AssertUnwindSafe(work))
    });
    match done.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(_) => Err(NotDone::Panicked),
    }
}

/// Drops something large on another thread; where there is none, because its loop has ended, on this one.
pub(crate) fn drop_elsewhere(large: impl Send + 'static) {
    if Handle::try_current().is_ok() {
        drop(spawn_blocking(move || drop(large)));
    }
}

/// How much work has left the loops.
pub(crate) fn offloaded() -> Offloaded {
    Offloaded {
        jobs: JOBS.load(Ordering::Relaxed),
        refused: REFUSED.load(Ordering::Relaxed),
        waiting: WAITING.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[tokio::test(flavor = "local")]
    async fn work_is_done_on_another_thread() {
        let here = current().id();
        let there = offload(|| current().id()).await.expect("done");
        assert_ne!(here, there);
    }

    #[tokio::test(flavor = "local")]
    async fn a_panic_is_that_of_its_work_alone() {
        let panicked = offload(|| panic!("expected")).await;
        assert_eq!(panicked, Err::<(), _>(NotDone::Panicked));
        assert_eq!(offload(|| 7).await, Ok(7));
    }
}
