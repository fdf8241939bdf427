//! Paces the reading of long messages, so that thousands of them leave the loop time for short ones.
//!
//! Each read of a message's later part takes a turn. There are so many turns a millisecond; who waits for one gets it in
//! the order of asking. A single client hardly notices: it can have them all, a gigabyte a second.

use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;

/// Reads between two ticks: about a quarter of a millisecond's work.
const TURNS: usize = 64;
const TICK: Duration = Duration::from_millis(1);

/// One loop's.
#[derive(Debug)]
pub(in crate::server) struct Pace {
    turns: Semaphore,
    taken: Notify,
}

impl Pace {
    pub(in crate::server) fn new() -> Self {
        Pace {
            turns: Semaphore::new(TURNS),
            taken: Notify::new(),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        // It is never closed.
        if let Ok(turn) = self.turns.acquire().await {
            turn.forget();
            self.taken.notify_one();
        }
    }

    /// Makes new turns, for as long as it is polled. While nobody takes any it sleeps.
    pub(in crate::server) async fn tick(&self) {
        loop {
            self.taken.notified().await;
            sleep(TICK).await;
            self.turns
                .add_permits(TURNS - self.turns.available_permits());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn there_are_so_many_turns_a_millisecond() {
        let pace = Pace::new();
        for _ in 0..TURNS {
            assert!(pace.turn().now_or_never().is_some());
        }
        assert!(pace.turn().now_or_never().is_none());
        let begun = Instant::now();
        tokio::select! {
            () = pace.tick() => {}
            _ = join_all((0..TURNS * 10).map(|_| pace.turn())) => {}
        }
        assert_eq!(begun.elapsed(), TICK * 10);
    }
}
