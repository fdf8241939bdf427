//! Knows what a session has before it: the statements that were sent and are not answered.
//!
//! The server works on them in order. Those that nobody waits for any more stay until something shows that they are over.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

use crate::backend::net::{Usual, is_long};

/// How many statements that nobody waits for are remembered.
const ABANDONED_MAX: usize = 1024;

/// The statements that were sent and are not answered, in order.
pub(super) struct SentStatements {
    all: VecDeque<Sent>,
    next: u64,
    /// When the server was last known to be done with one.
    done_at: Instant,
}

/// A statement that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) lookup: usize,
    pub(super) at: Instant,
    /// It runs; it is not only prepared.
    pub(super) runs: bool,
    /// What was known about its lookup.
    usual: Usual,
    is_abandoned: bool,
}

/// A statement that the server runs although nobody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InVain {
    pub(super) number: u64,
    /// It is known to take long.
    pub(super) is_slow: bool,
}

/// What a connection has before it when another statement is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    /// Only quick statements, this many.
    Quick(usize),
    /// A slow statement, or one that has been running for long: another one probably waits for as long as `wait`.
    /// `is_known`: it was expected to be slow.
    Slow {
        wait: Duration,
        is_known: bool,
    },
    Connecting,
    Unavailable,
}

impl SentStatements {
    pub(super) fn new(now: Instant) -> Self {
        SentStatements {
            all: VecDeque::new(),
            next: 0,
            done_at: now,
        }
    }

    /// A statement is sent now. `runs`: what is known about its lookup, if it runs.
    pub(super) fn push(&mut self, lookup: usize, now: Instant, runs: Option<Usual>) -> Sent {
        let sent = Sent {
            number: self.next,
            lookup,
            at: now,
            runs: runs.is_some(),
            usual: runs.unwrap_or_default(),
            is_abandoned: false,
        };
        self.next += 1;
        self.all.push_back(sent);
        sent
    }

    /// The server has answered a statement, so everything before it is over.
    pub(super) fn answered(&mut self, sent: &Sent, now: Instant) {
        self.over(sent.number, now);
        self.remove(sent);
        self.done_at = now;
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
    pub(super) fn running_in_vain(&self) -> Option<InVain> {
        let first = self.all.front()?;
        let in_vain = InVain {
            number: first.number,
            is_slow: first.usual.is_slow,
        };
        (first.is_abandoned && first.runs).then_some(in_vain)
    }

    /// The number of the last statement that was sent.
    pub(super) fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The statements up to this number that nobody waits for are over. Those behind them begin now.
    pub(super) fn over(&mut self, number: u64, now: Instant) {
        let before = self.all.len();
        self.all
            .retain(|sent| !sent.is_abandoned || sent.number > number);
        if self.all.len() < before {
            self.done_at = now;
        }
    }

    /// `is_stopping`: a request to stop the statement that runs is on its way.
    pub(super) fn traffic(&self, now: Instant, is_stopping: bool) -> Traffic {
        let Some(first) = self.all.front() else {
            return Traffic::Quick(0);
        };
        let ran = self.since_answer(first, now);
        let is_known = self.all.iter().any(|sent| sent.usual.is_slow);
        if !is_known && !is_long(ran) {
            return Traffic::Quick(self.all.len());
        }
        let rest = match first.usual.time.checked_sub(ran) {
            _ if is_stopping => Duration::ZERO,
            Some(rest) => rest,
            // What takes longer than usual probably goes on for as long again.
            None => ran,
        };
        let behind = self.all.iter().skip(1).map(|sent| sent.usual.time);
        Traffic::Slow {
            wait: behind.fold(rest, Duration::saturating_add),
            is_known,
        }
    }

    /// Whether a statement of this lookup occupies the session: it runs, or nothing slow of another lookup is before it. One
    /// that waits behind something slow says nothing about its own lookup, which would otherwise be kept here with it.
    pub(super) fn is_occupied_by(&self, lookup: usize, now: Instant) -> bool {
        let is_late = |first: &Sent| is_long(self.since_answer(first, now));
        let mut behind_slow = false;
        self.all.iter().enumerate().any(|(at, sent)| {
            let occupies = sent.lookup == lookup && !behind_slow;
            behind_slow |= sent.usual.is_slow || (at == 0 && is_late(sent));
            occupies
        })
    }

    /// How long the server has worked on a statement. `None` if others are before it: it may just have waited for them.
    pub(super) fn ran(&self, sent: &Sent, now: Instant) -> Option<Duration> {
        let first = self.all.front()?;
        (first.number == sent.number).then(|| self.since_answer(sent, now))
    }

    /// How long a statement has been before all others, at most.
    fn since_answer(&self, sent: &Sent, now: Instant) -> Duration {
        now.duration_since(sent.at.max(self.done_at))
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
        let [first, second, third] =
            [1, 2, 3].map(|lookup| sent.push(lookup, now, Some(Usual::default())));
        sent.abandon(&second);
        assert_eq!(sent.running_in_vain(), None, "the first is wanted");
        sent.answered(&first, now);
        let in_vain = sent.running_in_vain().map(|in_vain| in_vain.number);
        assert_eq!(in_vain, Some(second.number));
        assert_eq!(sent.traffic(now, false), Traffic::Quick(2));
        sent.answered(&third, now);
        assert_eq!(sent.running_in_vain(), None);
        assert_eq!(sent.traffic(now, false), Traffic::Quick(0));
    }

    #[test]
    fn preparing_is_not_running() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        let preparing = sent.push(1, now, None);
        sent.abandon(&preparing);
        assert_eq!(sent.running_in_vain(), None);
        assert!(sent.is_occupied_by(1, now));
        sent.over(sent.last(), now);
        assert!(!sent.is_occupied_by(1, now));
    }

    #[test]
    fn what_is_abandoned_at_a_server_that_never_answers_is_bounded() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        for _ in 0..3 * ABANDONED_MAX {
            let one = sent.push(1, now, Some(Usual::default()));
            sent.abandon(&one);
        }
        assert_eq!(sent.traffic(now, false), Traffic::Quick(ABANDONED_MAX));
        let later = now + Duration::from_secs(1);
        let wait = Duration::from_secs(1);
        let is_known = false;
        assert_eq!(sent.traffic(later, false), Traffic::Slow { wait, is_known });
    }

    #[test]
    fn a_quick_statement_that_takes_a_little_longer_is_less_than_a_slow_one() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let usual = |ms, is_slow| Usual {
            time: Duration::from_millis(ms),
            is_slow,
        };
        let sent = |usual: &[Usual]| {
            let mut sent = SentStatements::new(start);
            for usual in usual {
                sent.push(1, start, Some(*usual));
            }
            sent
        };
        let late = sent(&[usual(1, false)]);
        let slow = sent(&[usual(300, true)]);
        assert!(late.traffic(after(9), false) < slow.traffic(after(9), false));
        assert!(late.traffic(after(40), false) < slow.traffic(after(40), false));
        assert!(
            late.traffic(after(200), false) > slow.traffic(after(200), false),
            "it hangs, and the other one is nearly done"
        );
        assert!(late.traffic(after(40), false) > slow.traffic(after(40), true));
        let more = sent(&[usual(300, true), usual(300, true)]);
        assert!(late.traffic(after(40), false) < more.traffic(after(40), true));
    }

    #[test]
    fn what_waits_behind_something_slow_occupies_nothing() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let slow = Usual {
            time: Duration::from_millis(300),
            is_slow: true,
        };
        let mut sent = SentStatements::new(start);
        sent.push(1, start, Some(Usual::default()));
        sent.push(2, start, Some(Usual::default()));
        let occupied = |sent: &SentStatements, ms| {
            [1, 2, 3].map(|lookup| sent.is_occupied_by(lookup, after(ms)))
        };
        assert_eq!(occupied(&sent, 1), [true, true, false]);
        assert_eq!(occupied(&sent, 40), [true, false, false], "it hangs");
        sent.push(3, start, Some(slow));
        sent.push(2, start, Some(Usual::default()));
        assert_eq!(occupied(&sent, 1), [true, true, true]);
        let mut sent = SentStatements::new(start);
        sent.push(3, start, Some(slow));
        sent.push(2, start, Some(Usual::default()));
        sent.push(3, start, Some(slow));
        assert_eq!(occupied(&sent, 1), [false, false, true]);
    }

    #[test]
    fn waiting_for_others_is_not_running() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut sent = SentStatements::new(start);
        let slow = sent.push(1, start, Some(Usual::default()));
        let quick = sent.push(2, start, Some(Usual::default()));
        assert_eq!(sent.ran(&quick, after(300)), None);
        sent.abandon(&slow);
        assert_eq!(sent.ran(&quick, after(300)), None, "whenever that ended");
        sent.over(slow.number, after(300));
        let ran = sent.ran(&quick, after(301));
        assert_eq!(ran, Some(Duration::from_millis(1)));
    }
}
