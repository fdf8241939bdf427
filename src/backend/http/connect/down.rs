//! Knows whether a server is down, and when the next attempt to connect to it may be made.
//!
//! A server is down after an attempt that failed, and after too many connections that broke soon after they were made: then
//! connections are made one by one until none has broken for a while, whatever the others are good for. A server that closes
//! connections between two answers is not down, however often it does.

use std::collections::VecDeque;
use std::error::Error;
use std::io;

use tokio::time::Instant;

use super::dial::Failure;
use crate::backend::http::failure::{KnownDown, words};
use crate::backend::net::{EVERY, LASTS, Pace};
use crate::backoff::Backoff;

/// How many connections may break at once soon after they were made.
const BROKEN_MAX: u32 = 8;

/// Why connections are made one by one, if they are.
pub(in crate::backend::http) struct Down {
    last: Option<Last>,
    /// Attempts under way.
    attempts: usize,
    backoff: Backoff,
    /// When connections were made of which none is known to be broken.
    made: VecDeque<Instant>,
    /// A token is taken for each that broke early.
    breaks: Pace,
    /// There was none for the last one.
    is_sick: bool,
}

/// The last attempt, which failed, or the connection that broke.
struct Last {
    why: String,
    kind: io::ErrorKind,
    /// From when on a lookup may have the next one made.
    wanted_from: Instant,
    /// Connections can be made, but they break.
    is_of_breaks: bool,
}

impl Down {
    /// The server may be up.
    pub(in crate::backend::http) fn new(seed: u64) -> Self {
        Down {
            last: None,
            attempts: 0,
            backoff: Backoff::seeded(seed),
            made: VecDeque::new(),
            breaks: Pace::with_tokens(BROKEN_MAX),
            is_sick: false,
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
            self.made();
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
            is_of_breaks: false,
        });
    }

    /// A connection was made.
    fn made(&mut self) {
        let now = Instant::now();
        self.forget_lasting(now);
        self.made.push_back(now);
        match &mut self.last {
            // That one can be made says nothing about how long it lasts.
            Some(last) if self.is_sick && !self.breaks.is_full() => {
                last.is_of_breaks = true;
                last.wanted_from = now + self.backoff.jittered(EVERY);
            }
            _ => {
                self.last = None;
                self.is_sick = false;
                self.backoff.reset();
            }
        }
    }

    /// A connection broke under a request.
    pub(in crate::backend::http) fn broke(&mut self, why: &str) {
        let now = Instant::now();
        self.forget_lasting(now);
        // One for which there is no entry has lasted, or it carried several requests.
        if self.made.pop_front().is_none() || self.breaks.take() {
            return;
        }
        self.is_sick = true;
        if self.last().is_some() {
            return;
        }
        self.last = Some(Last {
            why: format!("connections break soon after they are made: {why}"),
            kind: io::ErrorKind::ConnectionReset,
            wanted_from: now + self.backoff.jittered(EVERY),
            is_of_breaks: true,
        });
    }

    fn forget_lasting(&mut self, now: Instant) {
        while self.made.front().is_some_and(|at| *at + LASTS <= now) {
            self.made.pop_front();
        }
    }

    fn last(&self) -> Option<&Last> {
        let is_over = |last: &Last| last.is_of_breaks && self.breaks.is_full();
        self.last.as_ref().filter(|last| !is_over(last))
    }

    /// Whether the last attempt failed, or connections break.
    pub(in crate::backend::http) fn has_failed(&self) -> bool {
        self.last().is_some()
    }

    /// Whether no attempt is made for a lookup.
    pub(in crate::backend::http) fn refuses(&self) -> bool {
        let is_wanted = |last: &Last| self.attempts == 0 && last.wanted_from <= Instant::now();
        self.last().is_some_and(|last| !is_wanted(last))
    }

    /// Why no attempt is made for a lookup, if none is.
    pub(super) fn refusal(&self) -> Option<Failure> {
        let last = self.last().filter(|_| self.refuses())?;
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

    /// For so many milliseconds, 64 lookups at a time want connections, each of which lasts for `life`. Returns how many are made.
    async fn made(down: &mut Down, millis: u64, life: u64) -> usize {
        let (mut open, mut made) = (VecDeque::new(), 0);
        for now in 0..millis {
            while open.front().is_some_and(|at| at + life <= now) {
                open.pop_front();
                down.broke("reset");
            }
            while open.len() < 64 && down.refusal().is_none() {
                down.begins();
                down.note(None);
                open.push_back(now);
                made += 1;
            }
            advance(Duration::from_millis(1)).await;
        }
        made
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn connections_that_break_early_are_made_one_by_one_until_they_last() {
        for life in [1, 20, 200] {
            let mut down = Down::new(1);
            let count = made(&mut down, 10_000, life).await;
            assert!((128..128 + 125).contains(&count), "{count} of {life} ms");
            assert!(down.has_failed());
            advance(EVERY * BROKEN_MAX).await;
            assert!(!down.has_failed() && down.refusal().is_none());
        }
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn connections_that_lasted_are_replaced_at_once() {
        let mut down = Down::new(1);
        let count = made(&mut down, 10_000, 1500).await;
        assert_eq!(count, 7 * 64);
        let mut down = Down::new(1);
        for _ in 0..1000 {
            // Closed in order.
            down.begins();
            down.note(None);
        }
        assert!(down.refusal().is_none());
    }
}
