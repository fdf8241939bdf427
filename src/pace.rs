//! Paces long work, so that however much of it there is leaves the loop time for short calls.
//!
//! Long work is reading on in a long message, reading parameters of many values, and forgetting them. It is done in
//! pieces, each of which takes a turn; who waits for one gets it in the order of asking. Once turns have taken
//! [`BUDGET`] together, the sockets are looked at before the next one, and where a crowd waits, so that it could keep
//! the loop busy for ever, the rest of a millisecond is left to others as well. Short messages never ask.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use std::vec::IntoIter;

use futures_util::poll;
use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::value::Value;

/// Turns that are taken between two of somebody else's.
const TURNS: usize = 2;
/// What turns may take together before the sockets are looked at.
const BUDGET: Duration = Duration::from_micros(100);
const TICK: Duration = Duration::from_millis(1);
/// So many may wait without being a crowd.
const CROWD: usize = 8;
/// Values that a turn is for: about a fortieth of a millisecond's work.
pub(crate) const VALUES: usize = 256;

/// One loop's.
#[derive(Debug)]
pub(crate) struct Pace {
    turns: Semaphore,
    waiting: Cell<usize>,
    /// What turns took since `since`.
    spent: Cell<Duration>,
    since: Cell<Instant>,
    /// Turns that are given again after a break.
    kept: Cell<usize>,
    breaks: Notify,
    forgotten: RefCell<Vec<Forgotten>>,
    forgets: Notify,
}

/// Values that nobody needs any more, the rest of those that stood together.
#[derive(Debug)]
enum Forgotten {
    Values(IntoIter<Value>),
    Pairs(IntoIter<(Value, Value)>),
}

/// The time from its making to its end counts.
pub(crate) struct Turn<'p> {
    pace: &'p Pace,
    begun: Instant,
}

/// Counts who waits, for as long as they do.
struct Waiting<'p>(&'p Cell<usize>);

impl Pace {
    pub(crate) fn new() -> Self {
        Pace {
            turns: Semaphore::new(TURNS),
            waiting: Cell::new(0),
            spent: Cell::default(),
            since: Cell::new(Instant::now()),
            kept: Cell::new(0),
            breaks: Notify::new(),
            forgotten: RefCell::default(),
            forgets: Notify::new(),
        }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let _waiting = Waiting::new(&self.waiting);
        let turn = self.turns.acquire().await;
        turn.expect("it is never closed").forget();
        Turn {
            pace: self,
            begun: Instant::now(),
        }
    }

    /// Polls `future` in turns only; `None` once it would be polled and `may_go_on` says no.
    pub(crate) async fn in_turns<F: Future>(
        &self,
        may_go_on: impl Fn() -> bool,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let turn = self.turn().await;
            if !may_go_on() {
                return None;
            }
            if let Poll::Ready(output) = poll!(future.as_mut()) {
                return Some(output);
            }
            drop(turn);
            woken().await;
        }
    }

    /// Drops `values`, however many they hold, in turns.
    pub(crate) fn forget(&self, values: Vec<Value>) {
        let values = Forgotten::Values(values.into_iter());
        self.forgotten.borrow_mut().push(values);
        self.forgets.notify_one();
    }

    /// Gives turns again after breaks, and forgets, for as long as it is polled. While there is nothing to do it sleeps.
    pub(crate) async fn tick(&self) {
        tokio::join!(self.take_breaks(), self.forget_all());
    }

    async fn take_breaks(&self) {
        loop {
            self.breaks.notified().await;
            if self.waiting.get() > CROWD {
                sleep(TICK).await;
            } else {
                // It goes on when the sockets were looked at.
                yield_now().await;
            }
            self.spent.set(Duration::ZERO);
            self.since.set(Instant::now());
            self.turns.add_permits(self.kept.take());
        }
    }

    async fn forget_all(&self) {
        loop {
            self.forgets.notified().await;
            while !self.forgotten.borrow().is_empty() {
                // Forgetting is part of a turn, whosever it is.
                drop(self.turn().await);
            }
        }
    }

    /// Drops some of what is forgotten. What a value holds stays on a list of its own, so depth costs no recursion.
    fn forget_some(&self) {
        let mut forgotten = self.forgotten.borrow_mut();
        for _ in 0..VALUES {
            let (first, second) = match forgotten.last_mut() {
                None => return,
                Some(Forgotten::Values(values)) => match values.next() {
                    Some(value) => (value, None),
                    None => {
                        forgotten.pop();
                        continue;
                    }
                },
                Some(Forgotten::Pairs(pairs)) => match pairs.next() {
                    Some((key, value)) => (key, Some(value)),
                    None => {
                        forgotten.pop();
                        continue;
                    }
                },
            };
            let held = [Some(first), second].into_iter().flatten();
            forgotten.extend(held.filter_map(|value| match value {
                Value::List(values) => Some(Forgotten::Values(values.into_iter())),
                Value::Record(record) => Some(Forgotten::Values(record.values.into_iter())),
                Value::Map(pairs) => Some(Forgotten::Pairs(pairs.into_iter())),
                _ => None,
            }));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let pace = self.pace;
        // Whoever makes new values helps to forget old ones, so these can't become ever more.
        pace.forget_some();
        let now = Instant::now();
        let took = now.saturating_duration_since(self.begun);
        let mut spent = pace.spent.get() + took;
        if now.saturating_duration_since(pace.since.get()) > TICK {
            pace.since.set(self.begun);
            spent = took;
        }
        pace.spent.set(spent);
        if spent < BUDGET {
            pace.turns.add_permits(1);
        } else {
            pace.kept.set(pace.kept.get() + 1);
            pace.breaks.notify_one();
        }
    }
}

impl<'p> Waiting<'p> {
    fn new(waiting: &'p Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Waits until the task is woken.
async fn woken() {
    let mut before = true;
    poll_fn(|_| {
        if std::mem::take(&mut before) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::advance;

    use super::*;

    /// So many turns that take that long each; how long all of them took.
    async fn take(turns: usize, each: Duration) -> Duration {
        let pace = Pace::new();
        let begun = Instant::now();
        let turn = async || {
            let _turn = pace.turn().await;
            advance(each).await;
        };
        tokio::select! {
            () = pace.tick() => {}
            _ = join_all((0..turns).map(|_| turn())) => {}
        }
        begun.elapsed()
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_crowd_leaves_the_loop_most_of_its_time() {
        let took = take(100, BUDGET / 2).await;
        let worked = BUDGET / 2 * 100;
        assert!(took > worked * 4, "{took:?}");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_few_have_all_time_that_is_left() {
        assert_eq!(take(CROWD, BUDGET).await, BUDGET * 8);
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn turns_that_took_their_time_are_given_again_after_a_break() {
        let pace = Pace::new();
        for _ in 0..TURNS {
            let _turn = pace.turn().await;
            advance(BUDGET).await;
        }
        assert!(pace.turn().now_or_never().is_none());
        tokio::select! {
            () = pace.tick() => {}
            _turn = pace.turn() => {}
        }
        // What was taken long ago does not count.
        for _ in 0..100 {
            drop(pace.turn().await);
            advance(TICK * 2).await;
        }
        assert!(pace.turn().now_or_never().is_some());
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn what_is_polled_in_turns_ends_when_it_may_not_go_on() {
        let pace = Pace::new();
        let may_go_on = Cell::new(true);
        let mut waits = pin!(pace.in_turns(|| may_go_on.get(), std::future::pending::<()>()));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(pace.turns.available_permits(), TURNS, "it waits without");
        may_go_on.set(false);
        assert_eq!(waits.now_or_never(), Some(None));
        assert_eq!(pace.in_turns(|| true, async { 1 }).await, Some(1));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn values_are_forgotten_in_pieces_whatever_their_shape() {
        let pace = Pace::new();
        let leaf = || Value::I64(1);
        let pairs = (0..1000).map(|_| (leaf(), Value::List(vec![leaf()])));
        let mut deep = Value::Null;
        for _ in 0..VALUES {
            deep = Value::List(vec![deep]);
        }
        pace.forget(vec![Value::Map(pairs.collect()), deep]);
        drop(pace.turn().await);
        assert!(!pace.forgotten.borrow().is_empty(), "not in one go");
        let mut ticks = pin!(pace.tick());
        while !pace.forgotten.borrow().is_empty() {
            assert!(ticks.as_mut().now_or_never().is_none());
            yield_now().await;
        }
    }
}
