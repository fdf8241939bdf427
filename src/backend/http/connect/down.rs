//! Knows whether a server is down, and when the next attempt to connect to it may be made.

use std::error::Error;
use std::io;

use tokio::time::Instant;

use super::dial::Failure;
use crate::backend::http::failure::{KnownDown, words};
use crate::backoff::Backoff;

/// The last attempt failed, or did not.
pub(in crate::backend::http) struct Down {
    last: Option<Last>,
    /// Attempts under way.
    attempts: usize,
    backoff: Backoff,
}

/// The last attempt, which failed.
struct Last {
    why: String,
    kind: io::ErrorKind,
    /// From when on a lookup may have the next one made.
    wanted_from: Instant,
}

impl Down {
    /// The server may be up.
    pub(in crate::backend::http) fn new(seed: u64) -> Self {
        Down {
            last: None,
            attempts: 0,
            backoff: Backoff::seeded(seed),
        }
    }

    /// An attempt begins.
    pub(super) fn begins(&mut self) {
        self.attempts += 1;
    }

    /// An attempt has failed, or succeeded.
    pub(super) fn note(&mut self, failure: Option<&Failure>) {
        self.attempts = self.attempts.saturating_sub(1);
        let Some(failure) = failure else {
            self.last = None;
            self.backoff.reset();
            return;
        };
        let delay = self.backoff.delay();
        let wanted_after = self.backoff.wanted_after(delay);
        let first: &(dyn Error + 'static) = &**failure;
        let mut causes = std::iter::successors(Some(first), |&cause| cause.source());
        let io = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
        self.last = Some(Last {
            why: words(Some(&**failure)),
            kind: io.map_or(io::ErrorKind::Other, io::Error::kind),
            wanted_from: Instant::now() + wanted_after,
        });
    }

    /// Whether the last attempt failed.
    pub(in crate::backend::http) fn has_failed(&self) -> bool {
        self.last.is_some()
    }

    /// Whether no attempt is made for a lookup.
    pub(in crate::backend::http) fn refuses(&self) -> bool {
        let is_wanted = |last: &Last| self.attempts == 0 && last.wanted_from <= Instant::now();
        self.last.as_ref().is_some_and(|last| !is_wanted(last))
    }

    /// Why no attempt is made for a lookup, if none is.
    pub(super) fn refusal(&self) -> Option<Failure> {
        let last = self.last.as_ref().filter(|_| self.refuses())?;
        let known = io::Error::new(last.kind, last.why.clone());
        Some(KnownDown(known).into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_dead_server_is_tried_rarely_and_one_that_is_back_at_once() {
        let mut down = Down::new(1);
        let refused = || -> Failure { io::Error::from(io::ErrorKind::ConnectionRefused).into() };
        assert!(down.refusal().is_none());
        let mut attempts = 0;
        for _ in 0..10_000 {
            match down.refusal() {
                Some(why) => assert_eq!(why.to_string(), refused().to_string()),
                None => {
                    attempts += 1;
                    down.begins();
                    let others = attempts > 1;
                    assert_eq!(down.refusal().is_some(), others, "one at a time");
                    down.note(Some(&refused()));
                    assert!(down.refusal().is_some(), "the next is too early");
                }
            }
            advance(Duration::from_millis(1)).await;
        }
        assert!((80..130).contains(&attempts), "{attempts} in 10 s");
        down.note(None);
        assert!(down.refusal().is_none(), "as many at a time as are wanted");
    }
}
