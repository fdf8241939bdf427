//! Bounds how often one loop connects to one server, however many connections it keeps there and however they end.
//!
//! Each attempt takes a token. There are as many as the loop keeps connections, so that all can be replaced at once after a
//! restart of the server, and a few more for second attempts. A token comes back every tenth of a second. What connections
//! are used for makes no difference: one that breaks after some right answers costs the server as much as one that never
//! gave any.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// How many attempts may follow one another at once, beyond one for each connection.
const BEYOND: u32 = 4;
/// When there is a token again after the last one was taken.
pub(in crate::backend) const EVERY: Duration = Duration::from_millis(100);

/// The attempts to connect to one server.
#[derive(Debug)]
pub(in crate::backend) struct Pace {
    /// How long it takes until all tokens are there, once all are taken.
    whole: Duration,
    /// When all of them are there, if none is taken until then.
    full_at: Cell<Instant>,
}

impl Pace {
    /// Of this many connections.
    pub(in crate::backend) fn new(connections: usize) -> Rc<Self> {
        Rc::new(Pace::with_tokens(
            u32::try_from(connections)
                .unwrap_or(u32::MAX)
                .saturating_add(BEYOND),
        ))
    }

    /// With this many tokens.
    pub(in crate::backend) fn with_tokens(tokens: u32) -> Self {
        Pace {
            whole: EVERY.saturating_mul(tokens),
            full_at: Cell::new(Instant::now()),
        }
    }

    /// How long it takes until there is a token.
    pub(in crate::backend) fn wait(&self) -> Duration {
        let missing = self.full_at.get().saturating_duration_since(Instant::now());
        (missing + EVERY).saturating_sub(self.whole)
    }

    /// Takes a token, if there is one.
    pub(in crate::backend) fn take(&self) -> bool {
        let is_free = self.wait().is_zero();
        if is_free {
            self.full_at
                .set(self.full_at.get().max(Instant::now()) + EVERY);
        }
        is_free
    }

    /// Takes a token for something else than a connection to keep, if half of them are left.
    pub(in crate::backend) fn take_spare(&self) -> bool {
        let missing = self.full_at.get().saturating_duration_since(Instant::now());
        missing < self.whole / 2 && self.take()
    }

    /// Whether no token is missing.
    pub(in crate::backend) fn is_full(&self) -> bool {
        self.full_at.get() <= Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_token_for_each_connection_and_a_few_more_and_then_ten_a_second() {
        let pace = Pace::new(3);
        assert!(pace.is_full());
        assert_eq!((0..100).filter(|_| pace.take_spare()).count(), 4);
        advance(EVERY * 4).await;
        assert!(pace.is_full());
        assert_eq!((0..100).filter(|_| pace.take()).count(), 7);
        assert!(!pace.is_full());
        assert_eq!(pace.wait(), EVERY);
        let (mut taken, begun) = (0, Instant::now());
        while begun.elapsed() < Duration::from_secs(10) {
            advance(Duration::from_millis(1)).await;
            taken += u32::from(pace.take());
        }
        assert_eq!(taken, 100);
        advance(EVERY * 6).await;
        assert!(!pace.is_full());
        advance(EVERY).await;
        assert!(pace.is_full() && pace.wait().is_zero());
    }
}
