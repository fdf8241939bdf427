//! Measures how long the lookups of a queue wait, from the answers that arrive while the queue stands.
//!
//! A burst fills a queue and drains again; only a queue that stays says that more comes in than is served ("good" and "bad"
//! queues: Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012; for servers: Maurer, "Fail at Scale", ACM Queue
//! 2015). So a queue *stands* from the moment when lookups are left in it, or calls are held for it, until there are none. The
//! rate at which a store answers says what it can do only while its queue stands: otherwise it says how much was asked. Nothing
//! is measured, and no clock is read, while no queue stands.
//!
//! A store that answers nothing in time is not overloaded but sick: its queue has no rate, so its length in time is unknown.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::waiters::Waiters;
use crate::backend::{Answer, LookupError};
use crate::context::CallerId;
use crate::error::Code;

/// The rate is measured over this time at least. A shorter queue is a burst.
const WINDOW: Duration = Duration::from_millis(100);
/// A standing queue of which nothing was answered for this long is that of a store which does not answer.
const SILENCE: Duration = Duration::from_secs(1);

/// As long as so many lookups wait, further calls are held: a call that has not begun costs nothing, and can still be refused.
/// Enough to keep a store busy for a few milliseconds.
pub(super) const LONG: usize = 1024;
/// Held calls of one caller that begin in a row.
const TURN_OF_CALLS: usize = 2;

/// How many queues of a loop stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlogs(Rc<Cell<usize>>);

/// What is known about one queue.
#[derive(Debug)]
pub(super) struct Backlog {
    standing: Option<Standing>,
    /// Answers that somebody still waited for.
    served: u64,
    /// Calls that begin once the queue is shorter, each with the number of its lookups.
    held: Waiters,
    /// The lookups of calls that were let through and have not begun yet.
    beginning: usize,
    all: Backlogs,
}

#[derive(Debug)]
struct Standing {
    since: Instant,
    /// Since when answers are counted, and how many there were before.
    window: (Instant, u64),
    /// When the last window with answers ended.
    heard: Instant,
    /// The first window says little: the loop is still busy with the calls that filled the queue.
    is_first: bool,
    pace: Pace,
}

/// What a lookup finds that joins a queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prospect {
    pub(super) pace: Pace,
    /// How many lookups are sent before it.
    pub(super) ahead: usize,
    /// How many are under way to the store.
    pub(super) in_flight: usize,
}

/// How fast a standing queue is served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// It does not stand, or not long enough to tell.
    Unknown,
    /// Lookups per second, never 0.
    PerSecond(f64),
    /// Its store does not answer.
    Silent,
}

impl Backlogs {
    /// Whether any queue stands.
    pub(super) fn any(&self) -> bool {
        self.0.get() > 0
    }
}

impl Backlog {
    pub(super) fn new(all: &Backlogs) -> Self {
        Backlog {
            standing: None,
            served: 0,
            held: Waiters::new(TURN_OF_CALLS),
            beginning: 0,
            all: all.clone(),
        }
    }

    /// So many more lookups were answered while somebody waited for their answers.
    pub(super) fn served(&mut self, count: usize) {
        self.served += count as u64;
    }

    /// To be called whenever all that can leave the queue has left. Lets calls begin for whose lookups there is room.
    pub(super) fn rest(&mut self, left: usize, now: impl FnOnce() -> Instant) {
        while left + self.beginning < LONG
            && let Some(lookups) = self.held.let_through()
        {
            self.beginning += lookups;
        }
        self.stand(left > 0 || self.held.waiting() > 0, now);
    }

    fn stand(&mut self, any_left: bool, now: impl FnOnce() -> Instant) {
        let count = &self.all.0;
        match &self.standing {
            None if any_left => {
                let now = now();
                count.set(count.get() + 1);
                self.standing = Some(Standing {
                    since: now,
                    window: (now, self.served),
                    heard: now,
                    is_first: true,
                    pace: Pace::Unknown,
                });
            }
            Some(_) if !any_left => {
                count.set(count.get() - 1);
                self.standing = None;
            }
            _ => {}
        }
    }

    /// Whether calls should not add to the queue, which has so many lookups in it.
    pub(super) fn is_long(&self, waiting: usize) -> bool {
        waiting >= LONG || self.held.waiting() > 0
    }

    /// How many lookups were answered so far.
    pub(super) fn served_so_far(&self) -> u64 {
        self.served
    }

    /// Holds a call of so many lookups back. The queue stands as long as any call is held.
    pub(super) fn hold(
        &mut self,
        caller: CallerId,
        lookups: usize,
        now: impl FnOnce() -> Instant,
    ) -> usize {
        self.stand(true, now);
        self.held.add(caller, lookups)
    }

    /// The calls that wait to begin.
    pub(super) fn held(&mut self) -> &mut Waiters {
        &mut self.held
    }

    /// A call of so many lookups that was let through begins, or has given up.
    pub(super) fn begins(&mut self, lookups: usize) {
        self.beginning -= lookups;
    }

    /// Whether the queue has been standing for at least `time`.
    pub(super) fn has_stood(&self, time: Duration, now: Instant) -> bool {
        let standing = self.standing.as_ref();
        standing.is_some_and(|standing| now.duration_since(standing.since) >= time)
    }

    /// How fast the queue is served.
    pub(super) fn pace(&mut self, now: Instant) -> Pace {
        let Some(standing) = &mut self.standing else {
            return Pace::Unknown;
        };
        let (begun, before) = standing.window;
        let elapsed = now.duration_since(begun);
        if elapsed < WINDOW {
            return standing.pace;
        }
        let served = self.served - before;
        if served > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
            let per_second = served as f64 / elapsed.as_secs_f64();
            if !std::mem::take(&mut standing.is_first) {
                standing.pace = Pace::PerSecond(per_second);
            }
            standing.heard = now;
        } else if now.duration_since(standing.heard) >= SILENCE {
            standing.pace = Pace::Silent;
        } else {
            // Perhaps a store that answers less than once per window.
            return standing.pace;
        }
        standing.window = (now, self.served);
        standing.pace
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.stand(false, Instant::now);
    }
}

/// Whether an answer says that its store answers. A store that refuses a question does.
pub(super) fn is_of_store(answer: &Result<Answer, LookupError>) -> bool {
    let Err(err) = answer else {
        return true;
    };
    matches!(
        err.code,
        Code::LookupRefused | Code::LookupThrew | Code::LookupTooMany | Code::LookupBadAnswer
    )
}

impl Pace {
    /// How long so many lookups take; zero if it is unknown.
    pub(super) fn time(self, lookups: usize) -> Duration {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            Pace::PerSecond(per_second) => {
                Duration::try_from_secs_f64(lookups as f64 / per_second).unwrap_or(Duration::MAX)
            }
            Pace::Unknown | Pace::Silent => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn per_second(pace: Pace) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        match pace {
            Pace::PerSecond(rate) => Some(rate.round() as u64),
            _ => None,
        }
    }

    #[test]
    fn only_a_queue_that_stands_has_a_pace() {
        let all = Backlogs::default();
        let mut backlog = Backlog::new(&all);
        let start = Instant::now();
        backlog.served(1000);
        backlog.rest(0, || unreachable!("nothing was left before"));
        assert_eq!(backlog.pace(start + WINDOW), Pace::Unknown);
        backlog.rest(1, || start - 100 * MS);
        assert!(all.any());
        backlog.served(1);
        assert_eq!(backlog.pace(start), Pace::Unknown, "a burst");
        backlog.served(10);
        assert_eq!(backlog.pace(start + 99 * MS), Pace::Unknown, "a burst");
        assert_eq!(per_second(backlog.pace(start + 100 * MS)), Some(100));
        backlog.served(40);
        backlog.rest(1, || unreachable!("it stands already"));
        assert_eq!(per_second(backlog.pace(start + 150 * MS)), Some(100));
        let pace = backlog.pace(start + 200 * MS);
        assert_eq!(pace, Pace::PerSecond(400.0));
        assert_eq!(pace.time(40), 100 * MS);
        assert!(backlog.has_stood(300 * MS, start + 200 * MS));
        assert!(!backlog.has_stood(301 * MS, start + 200 * MS));
        backlog.rest(0, || unreachable!("no clock is needed"));
        assert_eq!(backlog.pace(start + 300 * MS), Pace::Unknown);
        assert!(!all.any());
        backlog.rest(1, || start + 300 * MS);
        drop(backlog);
        assert!(!all.any(), "a queue that is gone does not stand");
    }

    #[test]
    fn a_store_that_answers_rarely_has_a_pace_and_a_silent_one_has_none() {
        let mut backlog = Backlog::new(&Backlogs::default());
        let start = Instant::now();
        let at = |ms| start + ms * MS;
        backlog.rest(1, || start - 200 * MS);
        backlog.served(1);
        assert_eq!(backlog.pace(start), Pace::Unknown);
        assert_eq!(backlog.pace(at(250)), Pace::Unknown);
        backlog.served(1);
        assert_eq!(per_second(backlog.pace(at(500))), Some(2));
        assert_eq!(
            per_second(backlog.pace(at(1499))),
            Some(2),
            "not silent yet"
        );
        assert_eq!(backlog.pace(at(1500)), Pace::Silent);
        assert_eq!(backlog.pace(at(9000)), Pace::Silent);
        // The silence does not count into the rate of what comes after it.
        backlog.served(50);
        assert_eq!(per_second(backlog.pace(at(9100))), Some(500));
    }

    #[test]
    fn held_calls_begin_when_there_is_room_for_their_lookups() {
        let mut backlog = Backlog::new(&Backlogs::default());
        let now = Instant::now();
        let mut begun = 0;
        let mut keys = [1, 2, 3]
            .map(|n| backlog.hold(CallerId(n), 600, || now))
            .to_vec();
        let mut begins = |backlog: &mut Backlog| {
            let mut polled = |key: &usize| {
                let cx = std::task::Context::from_waker(std::task::Waker::noop());
                backlog.held().poll(*key, &cx).is_ready()
            };
            begun += keys.extract_if(.., |key| polled(key)).count();
            begun
        };
        backlog.rest(LONG, || now);
        assert_eq!(begins(&mut backlog), 0);
        backlog.rest(LONG - 1, || now);
        assert!(backlog.is_long(0), "others wait");
        assert_eq!(begins(&mut backlog), 1);
        backlog.rest(LONG - 600, || now);
        assert_eq!(begins(&mut backlog), 1, "the room is for the first one");
        backlog.begins(600);
        backlog.rest(0, || now);
        assert_eq!(begins(&mut backlog), 3);
        assert!(!backlog.is_long(LONG - 1) && backlog.is_long(LONG));
    }
}
