//! Keeps the deadlines of all calls of a loop with one timer.
//!
//! Nearly every call ends long before its deadline, so setting a deadline and removing it has to cost next to nothing: it
//! is an entry in a table. The timer is set to an instant that is never later than the earliest entry. When it fires, the
//! calls that are due are woken, and the table is scanned for the next instant. Removing a deadline does not change the timer,
//! which then fires once in vain. Tokio's timers count in milliseconds, so the table is scanned at most a thousand
//! times a second.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use slab::Slab;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::supervise::supervise;

/// The deadlines of one loop.
pub struct Deadlines {
    table: Rc<Table>,
    _keeper: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Table {
    entries: RefCell<Slab<Entry>>,
    /// When the table is scanned next; `None` while it is empty.
    next: Cell<Option<Instant>>,
    keeper: Cell<Option<Waker>>,
}

struct Entry {
    at: Instant,
    waker: Waker,
}

/// One deadline. Dropping it removes it.
pub struct Alarm {
    table: Rc<Table>,
    key: usize,
}

impl Deadlines {
    /// Starts the timer on this loop.
    pub(super) fn start() -> Self {
        let table = Rc::new(Table::default());
        let kept = Rc::clone(&table);
        Deadlines {
            table,
            _keeper: supervise("deadlines", move || keep(Rc::clone(&kept))),
        }
    }

    /// Wakes the task of `cx` at `at`.
    pub fn set(&self, at: Instant, cx: &Context<'_>) -> Alarm {
        let waker = cx.waker().clone();
        let key = self.table.entries.borrow_mut().insert(Entry { at, waker });
        self.table.expect(at);
        Alarm {
            table: Rc::clone(&self.table),
            key,
        }
    }
}

impl Alarm {
    /// Wakes the task of `cx` at `at` instead of the instant set before.
    pub fn reset(&self, at: Instant, cx: &Context<'_>) {
        let entry = &mut self.table.entries.borrow_mut()[self.key];
        entry.waker.clone_from(cx.waker());
        if entry.at != at {
            entry.at = at;
            self.table.expect(at);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.table.entries.borrow_mut().remove(self.key);
    }
}

impl Table {
    /// Makes the timer fire at `at` or sooner.
    fn expect(&self, at: Instant) {
        if self.next.get().is_none_or(|next| at < next) {
            self.next.set(Some(at));
            if let Some(keeper) = self.keeper.take() {
                keeper.wake();
            }
        }
    }

    /// Wakes the calls that are due, and finds the next instant.
    fn scan(&self, now: Instant) {
        let mut next: Option<Instant> = None;
        for (_, entry) in &*self.entries.borrow() {
            if entry.at <= now {
                entry.waker.wake_by_ref();
            } else {
                next = Some(next.map_or(entry.at, |next| next.min(entry.at)));
            }
        }
        self.next.set(next);
    }
}

/// Never ends.
async fn keep(table: Rc<Table>) {
    let mut timer = Box::pin(sleep_until(Instant::now()));
    poll_fn(|cx| -> Poll<()> {
        loop {
            table.keeper.set(Some(cx.waker().clone()));
            let Some(next) = table.next.get() else {
                return Poll::Pending;
            };
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            ready!(timer.as_mut().poll(cx));
            table.scan(Instant::now());
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn until(deadlines: &Deadlines, at: Instant) -> Instant {
        let mut alarm = None;
        poll_fn(|cx| {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            alarm
                .get_or_insert_with(|| deadlines.set(at, cx))
                .reset(at, cx);
            Poll::Pending
        })
        .await;
        Instant::now()
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn each_deadline_wakes_its_own_task_on_time_in_any_order() {
        let deadlines = Deadlines::start();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let woken = tokio::join!(
            until(&deadlines, after(30)),
            until(&deadlines, after(10)),
            until(&deadlines, after(20)),
            until(&deadlines, after(10)),
        );
        assert_eq!(woken, (after(30), after(10), after(20), after(10)));
        assert!(deadlines.table.entries.borrow().is_empty());
        assert_eq!(deadlines.table.next.get(), None);
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_removed_deadline_wakes_no_task_and_a_reset_one_wakes_at_its_new_time() {
        let deadlines = Deadlines::start();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut polls = 0;
        let mut alarm = None;
        poll_fn(|cx| {
            polls += 1;
            match polls {
                1 => {
                    drop(deadlines.set(after(5), cx));
                    let set = deadlines.set(after(500), cx);
                    set.reset(after(50), cx);
                    alarm = Some(set);
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
        assert_eq!(Instant::now(), after(50));
        drop(alarm);
        // Removing it leaves the timer alone; an earlier deadline moves it.
        assert_eq!(until(&deadlines, after(60)).await, after(60));
    }
}
