//! How many lookups may be on their way to one backend, and how many may wait for that.

use std::cell::Cell;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::backend::LookupError;
use crate::error::Code;

/// The limits of one backend on one loop.
pub(super) struct Permits {
    turns: Semaphore,
    waiting: Cell<usize>,
    waiting_max: usize,
}

impl Permits {
    pub(super) fn new(in_flight_max: usize, waiting_max: usize) -> Self {
        Permits {
            turns: Semaphore::new(in_flight_max),
            waiting: Cell::new(0),
            waiting_max,
        }
    }

    /// A turn, at once or by `deadline`. Fails with `lookup.shed` when too many wait already, and with
    /// `lookup.timeout_pool` when none came free in time.
    pub(super) async fn acquire(
        &self,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, LookupError> {
        if let Ok(permit) = self.turns.try_acquire() {
            return Ok(permit);
        }
        if self.waiting.get() >= self.waiting_max {
            return Err(LookupError::new(Code::LookupShed, "`waiting_max` reached"));
        }
        self.waiting.set(self.waiting.get() + 1);
        let _waiting = Waiting(&self.waiting);
        match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(LookupError::new(Code::ServerInternal, "permits closed")),
            Err(_elapsed) => Err(LookupError::new(
                Code::LookupTimeoutPool,
                "`in_flight_max` reached all the time",
            )),
        }
    }
}

/// Counts one waiter for as long as it lives, also when its future is dropped.
struct Waiting<'a>(&'a Cell<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn waiters_time_out_and_too_many_are_shed() {
        let permits = Permits::new(1, 1);
        let deadline = Instant::now() + Duration::from_millis(10);
        let held = permits.acquire(deadline).await.expect("the first turn");
        let (late, shed) = tokio::join!(permits.acquire(deadline), permits.acquire(deadline));
        assert_eq!(late.map(|_| ()).unwrap_err().code, Code::LookupTimeoutPool);
        assert_eq!(shed.map(|_| ()).unwrap_err().code, Code::LookupShed);
        drop(held);
        assert!(permits.acquire(deadline).await.is_ok());
        assert_eq!(permits.waiting.get(), 0);
    }
}
