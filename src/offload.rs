//! Runs long computations on other threads, so that a loop goes on meanwhile.
//!
//! Decoding, converting or encoding a large answer takes longer than a loop may be held. Such work waits for one of a few
//! threads, at most one per processor. Small work stays on the loop: handing it over would cost more than it takes.
//!
//! A loop that shares a processor with such a thread goes first: otherwise the loop's calls would wait for some
//! milliseconds each time until the kernel takes the processor away from the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// With more bytes to decode, work leaves the loop: about a quarter of a millisecond.
pub(crate) const LARGE_BYTES: usize = 32 * 1024;
/// With more values to convert or encode, work leaves the loop: about a quarter of a millisecond.
pub(crate) const LARGE_VALUES: usize = 4096;
/// The maximum number of jobs that wait for a thread. Further ones are refused.
pub(crate) const WAITING_MAX: usize = 256;
/// More threads would only take processors from the loops.
pub(crate) const THREADS_MAX: usize = 4;

/// By how much the threads are nicer than the loops: a loop that wants the same processor gets nine tenths of it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

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

/// Only its threads are used. They are not those of the loops' own runtimes, whose priority is that of the loops: a
/// process without privileges can't raise a priority again.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread()
        .max_blocking_threads(THREADS_MAX)
        .thread_name("offload")
        .on_thread_start(yield_to_loops)
        .build()
        .expect("a runtime without drivers needs nothing that could be missing")
});
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

/// Does `work` on another thread. If the future is dropped, work that has begun goes on, and its result is dropped there;
/// work that has not begun is dropped there, too.
pub(crate) async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    let work = Large::new(work);
    let Some(waiting) = Waiting::begin() else {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        return Err(NotDone::Refused);
    };
    let permit = THREADS.acquire().await;
    let permit = permit.map_err(|_closed| NotDone::Refused)?;
    drop(waiting);
    JOBS.fetch_add(1, Ordering::Relaxed);
    let done = on_thread(move || {
        // The thread is free only when the work is done, even if its call has ended.
        let _permit = permit;
        let work = work.into_inner()?;
        catch_unwind(AssertUnwindSafe(work)).ok().map(Large::new)
    });
    match done.await {
        Ok(Some(done)) => done.into_inner().ok_or(NotDone::Panicked),
        Ok(None) | Err(_) => Err(NotDone::Panicked),
    }
}

/// Something large, which is dropped on another thread.
struct Large<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Large<T> {
    fn new(large: T) -> Self {
        Large(Some(large))
    }

    /// Always there.
    fn into_inner(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> Drop for Large<T> {
    fn drop(&mut self) {
        if let Some(large) = self.0.take() {
            drop_elsewhere(large);
        }
    }
}

/// Drops items, on another thread if there are many of them.
pub(crate) fn drop_items<T: Send + 'static>(items: Vec<T>) {
    if items.len() > LARGE_VALUES {
        drop_elsewhere(items);
    }
}

/// Drops something large on another thread.
pub(crate) fn drop_elsewhere(large: impl Send + 'static) {
    drop(on_thread(move || drop(large)));
}

fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    RUNTIME.spawn_blocking(work)
}

/// Lets the loops go before this thread, if that is possible.
pub(crate) fn yield_to_loops() {
    // Linux gives every thread a priority of its own. Elsewhere it is that of the process.
    #[cfg(target_os = "linux")]
    let _unchanged = rustix::process::nice(NICENESS);
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

    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "local")]
    async fn a_loop_goes_before_work_on_large_answers() {
        let niceness = || rustix::process::getpriority_process(None).expect("known");
        let here = niceness();
        let there = offload(niceness).await.expect("done");
        assert_eq!((there, niceness()), ((here + NICENESS).min(19), here));
    }

    #[tokio::test(flavor = "local")]
    async fn a_panic_is_that_of_its_work_alone() {
        let panicked = offload(|| panic!("expected")).await;
        assert_eq!(panicked, Err::<(), _>(NotDone::Panicked));
        assert_eq!(offload(|| 7).await, Ok(7));
    }
}
