//! Knows what a session has before it: the statements that were sent and are not answered.
//!
//! The server works on them in order. Those that nobody waits for any more stay until something shows that they are over.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

use crate::backend::net::is_long;

/// How many statements that nobody waits for are remembered.
const ABANDONED_MAX: usize = 1024;

/// The statements that were sent and are not answered, in order.
pub(super) struct SentStatements {
    all: VecDeque<Sent>,
    next: u64,
    /// When the last answer came.
    answered_at: Instant,
}

/// A statement that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) lookup: usize,
    pub(super) at: Instant,
    /// It runs; it is not only prepared.
    pub(super) runs: bool,
    /// It was known to be slow.
    is_slow: bool,
    is_abandoned: bool,
}

/// What a connection has before it when another statement is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    /// Only quick statements, this many.
    Quick(usize),
    /// Another statement waits until a request to stop one has been handled.
    Stopping,
    /// A slow statement among this many, or one that has been running for long.
    Slow(usize),
    Connecting,
    Unavailable,
}

impl SentStatements {
    pub(super) fn new(now: Instant) -> Self {
        SentStatements {
            all: VecDeque::new(),
            next: 0,
            answered_at: now,
        }
    }

    /// A statement is sent now. `runs`: whether it is known to be slow, if it runs.
    pub(super) fn push(&mut self, lookup: usize, now: Instant, runs: Option<bool>) -> Sent {
        let sent = Sent {
            number: self.next,
            lookup,
            at: now,
            runs: runs.is_some(),
            is_slow: runs == Some(true),
            is_abandoned: false,
        };
        self.next += 1;
        self.all.push_back(sent);
        sent
    }

    /// The server has answered a statement, so everything before it is over.
    pub(super) fn answered(&mut self, sent: &Sent, now: Instant) {
        self.answered_at = now;
        self.over(sent.number);
        self.remove(sent);
    }

    /// A statement ended without an answer of the server.
    pub(super) fn remove(&mut self, sent: &Sent) {
        if let Ok(at) = self.position(sent.number) {
            self.all.remove(at);
        }
    }

    /// Nobody waits for a statement any more.
    pub(super) fn abandon(&mut self, sent: &Sent) {
        if let Ok(at) = self.position(sent.number) {
            if self.all.len() > ABANDONED_MAX {
                self.all.remove(at);
            } else {
                self.all[at].is_abandoned = true;
            }
        }
    }

    /// The statement that the server runs, if nobody waits for it.
    pub(super) fn running_in_vain(&self) -> Option<u64> {
        let first = self.all.front();
        first
            .filter(|sent| sent.is_abandoned && sent.runs)
            .map(|sent| sent.number)
    }

    /// The number of the last statement that was sent.
    pub(super) fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The statements up to this number that nobody waits for are over.
    pub(super) fn over(&mut self, number: u64) {
        self.all
            .retain(|sent| !sent.is_abandoned || sent.number > number);
    }

    pub(super) fn traffic(&self, now: Instant) -> Traffic {
        let running = self.all.front().map(|first| self.ran(first, now));
        let is_slow = self.all.iter().any(|sent| sent.is_slow) || running.is_some_and(is_long);
        if is_slow {
            Traffic::Slow(self.all.len())
        } else {
            Traffic::Quick(self.all.len())
        }
    }

    pub(super) fn has(&self, lookup: usize) -> bool {
        self.all.iter().any(|sent| sent.lookup == lookup)
    }

    /// How long the server has worked on a statement, at most.
    pub(super) fn ran(&self, sent: &Sent, now: Instant) -> Duration {
        now.duration_since(sent.at.max(self.answered_at))
    }

    fn position(&self, number: u64) -> Result<usize, usize> {
        self.all.binary_search_by_key(&number, |sent| sent.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_that_runs_is_the_first_that_is_not_over() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        let [first, second, third] = [1, 2, 3].map(|lookup| sent.push(lookup, now, Some(false)));
        sent.abandon(&second);
        assert_eq!(sent.running_in_vain(), None, "the first is wanted");
        sent.answered(&first, now);
        assert_eq!(sent.running_in_vain(), Some(second.number));
        assert_eq!(sent.traffic(now), Traffic::Quick(2));
        sent.answered(&third, now);
        assert_eq!(sent.running_in_vain(), None);
        assert_eq!(sent.traffic(now), Traffic::Quick(0));
    }

    #[test]
    fn preparing_is_not_running() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        let preparing = sent.push(1, now, None);
        sent.abandon(&preparing);
        assert_eq!(sent.running_in_vain(), None);
        assert!(sent.has(1));
        sent.over(sent.last());
        assert!(!sent.has(1));
    }

    #[test]
    fn what_is_abandoned_at_a_server_that_never_answers_is_bounded() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        for _ in 0..3 * ABANDONED_MAX {
            let one = sent.push(1, now, Some(false));
            sent.abandon(&one);
        }
        assert_eq!(sent.traffic(now), Traffic::Quick(ABANDONED_MAX));
        let later = now + Duration::from_secs(1);
        assert_eq!(sent.traffic(later), Traffic::Slow(ABANDONED_MAX));
    }
}
