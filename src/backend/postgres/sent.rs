//! Knows what a session has before it: the statements that were sent and are not answered.
//!
//! The server works on them in order. Abandoned ones stay until something shows that they are over.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

use crate::backend::net::{Durations, Usual};

/// How many abandoned statements are remembered.
const ABANDONED_MAX: usize = 1024;

/// The statements that were sent and are not answered, in order.
pub(super) struct SentStatements {
    all: VecDeque<Sent>,
    next: u64,
    /// How many of them may well take long.
    slow: usize,
    /// How many of the others are not ready to run, and have a caller.
    unready: usize,
    /// How many have no caller any more.
    abandoned: usize,
    /// When the server was last known to be done with one.
    done_at: Instant,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A statement is only prepared.
    Prepares,
    /// One will run, of which this is known: its statement is being prepared, or its parameters are being encoded.
    WillRun(Usual),
    /// One runs, of which this is known.
    Runs(Usual),
}

/// A statement that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) lookup: usize,
    pub(super) at: Instant,
    work: Work,
    is_abandoned: bool,
}

/// An abandoned statement that the server still works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InVain {
    pub(super) number: u64,
    /// It runs; it is not only prepared so far.
    pub(super) runs: bool,
    /// It is known to take long.
    pub(super) is_slow: bool,
}

impl Sent {
    /// Whether it runs; otherwise it is only prepared so far.
    pub(super) fn runs(&self) -> bool {
        matches!(self.work, Work::Runs(_))
    }

    /// Whether it may well take long. One of which nothing is known yet may.
    fn is_slow(&self) -> bool {
        match self.work {
            Work::Prepares => false,
            Work::WillRun(usual) | Work::Runs(usual) => usual != Usual::Quick,
        }
    }

    /// Whether it is quick, and waits to be sent.
    fn is_unready(&self) -> bool {
        matches!(self.work, Work::WillRun(Usual::Quick)) && !self.is_abandoned
    }
}

impl SentStatements {
    pub(super) fn new(now: Instant) -> Self {
        SentStatements {
            all: VecDeque::new(),
            next: 0,
            slow: 0,
            unready: 0,
            abandoned: 0,
            done_at: now,
        }
    }

    /// A statement is sent now.
    pub(super) fn push(&mut self, lookup: usize, now: Instant, work: Work) -> Sent {
        let sent = Sent {
            number: self.next,
            lookup,
            at: now,
            work,
            is_abandoned: false,
        };
        self.next += 1;
        self.slow += usize::from(sent.is_slow());
        self.unready += usize::from(sent.is_unready());
        self.all.push_back(sent);
        sent
    }

    /// A statement is ready: if it is to run, it is sent now, behind those that were sent meanwhile.
    pub(super) fn is_ready(&mut self, sent: &Sent, now: Instant) -> Sent {
        let Work::WillRun(usual) = sent.work else {
            return *sent;
        };
        self.remove(sent);
        self.push(sent.lookup, now, Work::Runs(usual))
    }

    /// The server has answered a statement, so everything before it is over.
    pub(super) fn answered(&mut self, sent: &Sent, now: Instant) {
        self.over(sent.number, now);
        self.remove(sent);
        self.done_at = now;
    }

    /// A statement ended without an answer of the server. Returns whether it was still there.
    pub(super) fn remove(&mut self, sent: &Sent) -> bool {
        let Ok(at) = self.position(sent.number) else {
            return false;
        };
        if let Some(removed) = self.all.remove(at) {
            self.slow -= usize::from(removed.is_slow());
            self.unready -= usize::from(removed.is_unready());
            self.abandoned -= usize::from(removed.is_abandoned);
        }
        true
    }

    /// A statement is abandoned: its lookup no longer waits for the answer.
    pub(super) fn abandon(&mut self, sent: &Sent) {
        if self.all.len() > ABANDONED_MAX {
            self.remove(sent);
        } else if let Ok(at) = self.position(sent.number) {
            self.unready -= usize::from(self.all[at].is_unready());
            self.abandoned += usize::from(!self.all[at].is_abandoned);
            self.all[at].is_abandoned = true;
        }
    }

    /// The statement that the server works on, if it is abandoned.
    pub(super) fn in_vain(&self) -> Option<InVain> {
        let first = self.all.front()?;
        let in_vain = InVain {
            number: first.number,
            runs: first.runs(),
            is_slow: matches!(first.work, Work::Runs(Usual::Slow)),
        };
        first.is_abandoned.then_some(in_vain)
    }

    /// Whether one of them runs, or will once those before it have ended.
    pub(super) fn runs(&self) -> bool {
        self.all.iter().any(Sent::runs)
    }

    /// The number of the last statement that was sent.
    pub(super) fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The abandoned statements up to this number are over. Those behind them begin now.
    pub(super) fn over(&mut self, number: u64, now: Instant) {
        if self.abandoned == 0 {
            return;
        }
        let before = self.all.len();
        self.all
            .retain(|sent| !sent.is_abandoned || sent.number > number);
        self.abandoned -= before - self.all.len();
        if self.all.len() < before {
            self.slow = self.all.iter().filter(|sent| sent.is_slow()).count();
            self.done_at = now;
        }
    }

    /// How many statements are before another one.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether one of them may well take long.
    pub(super) fn has_slow(&self) -> bool {
        self.slow > 0
    }

    /// Whether a quick one is not ready to run, so that one sent now would run before it.
    pub(super) fn has_unready(&self) -> bool {
        self.unready > 0
    }

    /// Whether the first one takes longer than it should, or longer than its lookup could wait.
    pub(super) fn is_stuck(&self, now: Instant, durations: &Durations) -> bool {
        self.in_vain().is_some() || self.is_late(now, durations)
    }

    /// Whether the first one takes longer than it should.
    fn is_late(&self, now: Instant, durations: &Durations) -> bool {
        let first = self.all.front();
        first.is_some_and(|first| durations.is_long(self.since_answer(first, now)))
    }

    /// Whether a statement of this lookup occupies the session: it runs, or nothing slow of another lookup is before it. One
    /// that waits behind something slow says nothing about its own lookup, which would otherwise be kept here with it.
    pub(super) fn is_occupied_by(
        &self,
        lookup: usize,
        now: Instant,
        durations: &Durations,
    ) -> bool {
        match self.all.iter().position(|sent| sent.lookup == lookup) {
            None => false,
            Some(0) => true,
            Some(first) => {
                let is_behind_slow = self.has_slow() && self.all.range(..first).any(Sent::is_slow);
                !is_behind_slow && !self.is_late(now, durations)
            }
        }
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
        // The server answers them in their order.
        if self.all.front().is_some_and(|sent| sent.number == number) {
            return Ok(0);
        }
        self.all.binary_search_by_key(&number, |sent| sent.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Work = Work::Runs(Usual::Quick);
    const SLOW: Work = Work::Runs(Usual::Slow);

    #[test]
    fn the_statement_that_runs_is_the_first_that_is_not_over() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        let [first, second, third] = [1, 2, 3].map(|lookup| sent.push(lookup, now, QUICK));
        sent.abandon(&second);
        assert_eq!(sent.in_vain(), None, "the first is wanted");
        sent.answered(&first, now);
        let in_vain = sent.in_vain().map(|in_vain| in_vain.number);
        assert_eq!(in_vain, Some(second.number));
        assert_eq!(sent.len(), 2);
        sent.answered(&third, now);
        assert_eq!(sent.in_vain(), None);
        assert_eq!(sent.len(), 0);
    }

    #[test]
    fn preparing_is_not_running() {
        let (now, durations) = (Instant::now(), Durations::default());
        let mut sent = SentStatements::new(now);
        let preparing = sent.push(1, now, Work::Prepares);
        sent.abandon(&preparing);
        assert!(sent.in_vain().is_some_and(|in_vain| !in_vain.runs));
        assert!(!sent.has_slow() && sent.is_occupied_by(1, now, &durations));
        sent.over(sent.last(), now);
        assert!(!sent.is_occupied_by(1, now, &durations));
    }

    #[test]
    fn what_is_sent_while_another_one_is_prepared_is_before_it() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut sent = SentStatements::new(start);
        let quick = sent.push(1, start, Work::WillRun(Usual::Quick));
        assert!(sent.has_unready() && !sent.has_slow() && !quick.runs());
        let other = sent.push(2, start, QUICK);
        let quick = sent.is_ready(&quick, after(5));
        assert!(!sent.has_unready() && quick.runs());
        assert_eq!(sent.ran(&other, after(6)), Some(Duration::from_millis(6)));
        assert_eq!(sent.ran(&quick, after(6)), None, "the other is before it");
        sent.answered(&other, after(6));
        // The time of preparing it is not its own.
        assert_eq!(sent.ran(&quick, after(8)), Some(Duration::from_millis(2)));
        sent.answered(&quick, after(8));
        assert_eq!(sent.len(), 0);
    }

    #[test]
    fn what_is_abandoned_while_it_is_prepared_keeps_nothing_slow_away() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        let [quick, gone] = [1, 1].map(|of| sent.push(of, now, Work::WillRun(Usual::Quick)));
        sent.abandon(&quick);
        assert!(sent.has_unready());
        sent.remove(&gone);
        assert!(!sent.has_unready());
        assert!(sent.in_vain().is_some_and(|in_vain| !in_vain.runs));
        sent.over(sent.last(), now);
        assert_eq!((sent.len(), sent.has_unready()), (0, false));
        let slow = sent.push(2, now, Work::WillRun(Usual::Slow));
        assert!(sent.has_slow() && !sent.has_unready());
        sent.is_ready(&slow, now);
        assert!(sent.has_slow());
    }

    #[test]
    fn what_is_abandoned_at_a_server_that_never_answers_is_bounded() {
        let (now, durations) = (Instant::now(), Durations::default());
        let mut sent = SentStatements::new(now);
        for _ in 0..3 * ABANDONED_MAX {
            let one = sent.push(1, now, SLOW);
            sent.abandon(&one);
        }
        assert_eq!(sent.len(), ABANDONED_MAX);
        assert!(!sent.is_late(now, &durations) && sent.has_slow());
        assert!(sent.is_late(now + Duration::from_secs(1), &durations));
        sent.over(sent.last(), now);
        assert!(!sent.has_slow());
    }

    #[test]
    fn a_statement_of_which_nothing_is_known_may_be_slow() {
        let now = Instant::now();
        let mut sent = SentStatements::new(now);
        let one = sent.push(1, now, Work::Runs(Usual::Unknown));
        assert!(sent.has_slow());
        sent.abandon(&one);
        assert!(sent.in_vain().is_some_and(|in_vain| !in_vain.is_slow));
        assert!(sent.remove(&one) && !sent.remove(&one));
        assert!(!sent.has_slow());
        sent.push(1, now, QUICK);
        assert!(!sent.has_slow());
    }

    #[test]
    fn a_session_is_stuck_while_it_works_in_vain() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let durations = Durations::default();
        let mut sent = SentStatements::new(start);
        let [first, second] = [1, 2].map(|lookup| sent.push(lookup, start, QUICK));
        assert!(!sent.is_stuck(after(1), &durations) && sent.is_stuck(after(10), &durations));
        sent.abandon(&second);
        assert!(!sent.is_stuck(after(1), &durations), "the first is wanted");
        sent.answered(&first, after(1));
        assert!(sent.is_stuck(after(2), &durations));
        sent.over(second.number, after(2));
        assert!(!sent.is_stuck(after(2), &durations));
    }

    #[test]
    fn what_waits_behind_something_slow_occupies_nothing() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let durations = Durations::default();
        let occupied = |sent: &SentStatements, ms| {
            [1, 2, 3].map(|lookup| sent.is_occupied_by(lookup, after(ms), &durations))
        };
        let mut sent = SentStatements::new(start);
        sent.push(1, start, QUICK);
        sent.push(2, start, QUICK);
        assert_eq!(occupied(&sent, 1), [true, true, false]);
        assert_eq!(occupied(&sent, 40), [true, false, false], "it hangs");
        sent.push(3, start, SLOW);
        sent.push(2, start, QUICK);
        assert_eq!(occupied(&sent, 1), [true, true, true]);
        let mut sent = SentStatements::new(start);
        sent.push(3, start, SLOW);
        sent.push(2, start, QUICK);
        sent.push(3, start, SLOW);
        assert_eq!(occupied(&sent, 1), [false, false, true]);
    }

    #[test]
    fn waiting_for_others_is_not_running() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut sent = SentStatements::new(start);
        let slow = sent.push(1, start, QUICK);
        let quick = sent.push(2, start, QUICK);
        assert_eq!(sent.ran(&quick, after(300)), None);
        sent.abandon(&slow);
        assert_eq!(sent.ran(&quick, after(300)), None, "whenever that ended");
        sent.over(slow.number, after(300));
        let ran = sent.ran(&quick, after(301));
        assert_eq!(ran, Some(Duration::from_millis(1)));
    }
}
