//! Limits how many unbatched lookups are under way to a store, and how many may wait.
//!
//! Waiting for a permit counts against the lookup's time, and has its own fate, because the store is not to blame.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::backend::LookupError;
use crate::error::Code;
use crate::metrics::{Gauge, Load};

/// The permits of one store on one loop.
pub(super) struct Permits {
    semaphore: Semaphore,
    load: Load,
    waiting_max: usize,
}

/// Allows one lookup to be under way; returned when dropped.
pub(super) struct Permit<'a> {
    _permit: SemaphorePermit<'a>,
    _in_flight: Counted<'a>,
}

impl Permits {
    pub(super) fn new(in_flight_max: usize, waiting_max: usize, load: Load) -> Self {
        Permits {
            semaphore: Semaphore::new(in_flight_max),
            load,
            waiting_max,
        }
    }

    /// A permit, now or by `deadline`. Fails with `lookup.shed` if too many lookups are waiting already, and with
    /// `lookup.timeout_pool` if no permit becomes free in time.
    pub(super) async fn acquire(&self, deadline: Instant) -> Result<Permit<'_>, LookupError> {
        if let Ok(permit) = self.semaphore.try_acquire() {
            return Ok(self.count(permit));
        }
        if self.load.waiting.get() >= self.waiting_max {
            return Err(queue_full());
        }
        let _waiting = Counted::one(&self.load.waiting);
        match timeout_at(deadline, self.semaphore.acquire()).await {
            Ok(Ok(permit)) => Ok(self.count(permit)),
            Ok(Err(_closed)) => Err(LookupError::new(
                Code::ServerInternal,
                "the semaphore was closed",
            )),
            Err(_elapsed) => Err(not_sent()),
        }
    }

    fn count<'a>(&'a self, permit: SemaphorePermit<'a>) -> Permit<'a> {
        Permit {
            _permit: permit,
            _in_flight: Counted::one(&self.load.in_flight),
        }
    }
}

/// The lookup was not sent to its store in time.
pub(super) fn not_sent() -> LookupError {
    LookupError::new(
        Code::LookupTimeoutPool,
        "still queued at its deadline: `in_flight_max` lookups were under way",
    )
}

/// Too many lookups wait for the store already.
pub(super) fn queue_full() -> LookupError {
    LookupError::new(
        Code::LookupShed,
        "`waiting_max` lookups are waiting already",
    )
}

/// Counts one for as long as it lives, even if its future is dropped.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn one(gauge: &'a Gauge) -> Self {
        gauge.up();
        Counted(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.down();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn waiters_time_out_and_too_many_are_shed() {
        let load = Load::unscraped();
        let permits = Permits::new(1, 1, load.clone());
        let deadline = Instant::now() + Duration::from_millis(10);
        let held = permits.acquire(deadline).await.expect("the first permit");
        let (late, shed) = tokio::join!(permits.acquire(deadline), permits.acquire(deadline));
        assert_eq!(late.map(|_| ()).unwrap_err().code, Code::LookupTimeoutPool);
        assert_eq!(shed.map(|_| ()).unwrap_err().code, Code::LookupShed);
        assert_eq!(load.in_flight.get(), 1);
        drop(held);
        assert_eq!(load.in_flight.get(), 0);
        assert!(permits.acquire(deadline).await.is_ok());
        assert_eq!(load.waiting.get(), 0);
    }
}
