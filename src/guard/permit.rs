//! How many lookups may be on their way to one backend, and how many may wait for that.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::backend::LookupError;
use crate::error::Code;
use crate::metrics::{Gauge, Turns};

/// The limits of one backend on one loop.
pub(super) struct Permits {
    turns: Semaphore,
    /// How many have theirs, and how many wait.
    counted: Turns,
    waiting_max: usize,
}

/// A turn, given back when dropped.
pub(super) struct Permit<'a> {
    _turn: SemaphorePermit<'a>,
    _counted: Counted<'a>,
}

impl Permits {
    pub(super) fn new(in_flight_max: usize, waiting_max: usize, counted: Turns) -> Self {
        Permits {
            turns: Semaphore::new(in_flight_max),
            counted,
            waiting_max,
        }
    }

    /// A turn, at once or by `deadline`. Fails with `lookup.shed` when too many wait already, and with
    /// `lookup.timeout_pool` when none came free in time.
    pub(super) async fn acquire(&self, deadline: Instant) -> Result<Permit<'_>, LookupError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(self.permit(turn));
        }
        if self.counted.waiting.get() >= self.waiting_max {
            return Err(LookupError::new(Code::LookupShed, "`waiting_max` reached"));
        }
        let _waiting = Counted::one(&self.counted.waiting);
        match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(self.permit(turn)),
            Ok(Err(_closed)) => Err(LookupError::new(Code::ServerInternal, "permits closed")),
            Err(_elapsed) => Err(LookupError::new(
                Code::LookupTimeoutPool,
                "`in_flight_max` reached all the time",
            )),
        }
    }

    fn permit<'a>(&'a self, turn: SemaphorePermit<'a>) -> Permit<'a> {
        Permit {
            _turn: turn,
            _counted: Counted::one(&self.counted.in_flight),
        }
    }
}

/// Counts one for as long as it lives, also when its future is dropped.
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
        let counted = Turns::unscraped();
        let permits = Permits::new(1, 1, counted.clone());
        let deadline = Instant::now() + Duration::from_millis(10);
        let held = permits.acquire(deadline).await.expect("the first turn");
        let (late, shed) = tokio::join!(permits.acquire(deadline), permits.acquire(deadline));
        assert_eq!(late.map(|_| ()).unwrap_err().code, Code::LookupTimeoutPool);
        assert_eq!(shed.map(|_| ()).unwrap_err().code, Code::LookupShed);
        assert_eq!(counted.in_flight.get(), 1);
        drop(held);
        assert_eq!(counted.in_flight.get(), 0);
        assert!(permits.acquire(deadline).await.is_ok());
        assert_eq!(counted.waiting.get(), 0);
    }
}
