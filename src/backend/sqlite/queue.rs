//! Hands jobs from a loop to the threads of a store: a bounded queue, first come, first served.
//!
//! One lock for all threads, so that no job waits behind a slow one while another thread is idle. A thread
//! takes jobs until there are none before it sleeps, and only a sleeping thread is woken: under load a push
//! is a lock and a move, without a system call.

use std::collections::VecDeque;
#[expect(
    clippy::disallowed_types,
    reason = "shared with the store's own threads; held for one push or pop, never over a query or an await"
)]
use std::sync::Mutex;
use std::sync::{Condvar, MutexGuard, PoisonError};

/// Jobs that wait for a thread.
#[derive(Debug)]
pub(super) struct JobQueue<J> {
    #[expect(clippy::disallowed_types, reason = "see the import")]
    inner: Mutex<Inner<J>>,
    wake: Condvar,
    jobs_max: usize,
}

#[derive(Debug)]
struct Inner<J> {
    jobs: VecDeque<J>,
    asleep: usize,
    closed: bool,
}

/// The job was rejected, because this many are already waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull(pub(super) usize);

impl<J> JobQueue<J> {
    /// At most `jobs_max` may wait.
    pub(super) fn new(jobs_max: usize) -> Self {
        let inner = Inner {
            jobs: VecDeque::new(),
            asleep: 0,
            closed: false,
        };
        JobQueue {
            inner: inner.into(),
            wake: Condvar::new(),
            jobs_max,
        }
    }

    /// Adds a job, or drops it when the queue is full. Never waits.
    pub(super) fn push(&self, job: J) -> Result<(), QueueFull> {
        let mut inner = self.lock();
        if inner.jobs.len() >= self.jobs_max {
            return Err(QueueFull(inner.jobs.len()));
        }
        inner.jobs.push_back(job);
        let wake = inner.asleep > 0;
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// The next job, waiting for one; `None` once the queue is closed.
    pub(super) fn pop(&self) -> Option<J> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(job) = inner.jobs.pop_front() {
                return Some(job);
            }
            inner.asleep += 1;
            inner = self
                .wake
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
            inner.asleep -= 1;
        }
    }

    /// Drops the jobs that wait, and ends the threads.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let jobs = std::mem::take(&mut inner.jobs);
        drop(inner);
        drop(jobs);
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<J>> {
        // Nothing panics under the lock, and the queue is consistent between any two of its statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_out_in_order_and_no_more_than_the_limit() {
        let queue = JobQueue::new(2);
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err(QueueFull(2)));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), Some(2)));
    }

    #[test]
    fn closing_wakes_and_ends_sleeping_threads() {
        let queue = JobQueue::<u8>::new(1);
        std::thread::scope(|scope| {
            let sleepers = [scope.spawn(|| queue.pop()), scope.spawn(|| queue.pop())];
            queue.close();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), None);
            }
        });
        queue.push(1).unwrap();
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn every_job_is_taken_once() {
        let queue = JobQueue::new(10_000);
        let taken: Vec<u32> = std::thread::scope(|scope| {
            let take =
                || std::iter::from_fn(|| queue.pop().filter(|job| *job > 0)).collect::<Vec<_>>();
            let takers = [scope.spawn(take), scope.spawn(take)];
            for job in (1..=5000).chain([0, 0]) {
                queue.push(job).unwrap();
            }
            takers
                .into_iter()
                .flat_map(|taker| taker.join().unwrap())
                .collect()
        });
        let mut taken = taken;
        taken.sort_unstable();
        assert_eq!(taken, (1..=5000).collect::<Vec<_>>());
    }
}
