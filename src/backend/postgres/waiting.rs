//! Holds the statements that no connection may take yet: each lookup's in the order of their arrival.
//!
//! When something has changed, the first one of each lookup looks for a place again; once it has one, the next. Lookups take
//! turns in being first. The number is bounded by `in_flight_max`: each statement belongs to a lookup that is under way.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backend::GivenUp;
use crate::backend::net::{InLine, Line};

/// The statements that wait for a connection.
pub(super) struct Waiting {
    lines: RefCell<Vec<LookupLine>>,
    line: Line,
}

/// Those of one lookup. There is no empty line.
struct LookupLine {
    lookup: usize,
    waiters: VecDeque<Rc<Notify>>,
}

/// A statement that waits. When this is dropped, the next one of its lookup looks for a place.
pub(super) struct Waiter<'a> {
    waiting: &'a Waiting,
    lookup: usize,
    wake: Rc<Notify>,
    pub(super) since: Instant,
    in_line: InLine,
}

impl Waiting {
    /// Whether any statement waits.
    pub(super) fn is_any(&self) -> bool {
        !self.lines.borrow().is_empty()
    }

    pub(super) fn new(given_up: &GivenUp) -> Self {
        Waiting {
            lines: RefCell::default(),
            line: Line::new(given_up),
        }
    }

    /// A statement was answered.
    pub(super) fn answered(&self) {
        self.line.answered();
    }

    /// Whether statements of this lookup wait, so that another one has to wait behind them.
    pub(super) fn has(&self, lookup: usize) -> bool {
        self.lines.borrow().iter().any(|line| line.lookup == lookup)
    }

    /// A statement of this lookup waits from now on.
    pub(super) fn join(&self, lookup: usize) -> Waiter<'_> {
        let wake = Rc::new(Notify::new());
        let mut lines = self.lines.borrow_mut();
        match lines.iter_mut().find(|line| line.lookup == lookup) {
            Some(line) => line.waiters.push_back(Rc::clone(&wake)),
            None => lines.push(LookupLine {
                lookup,
                waiters: VecDeque::from([Rc::clone(&wake)]),
            }),
        }
        Waiter {
            waiting: self,
            lookup,
            wake,
            since: Instant::now(),
            in_line: self.line.join(),
        }
    }

    /// A connection may take what it could not take before.
    pub(super) fn changed(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.len() > 1 {
            lines.rotate_left(1);
        }
        for line in &*lines {
            line.wake();
        }
    }
}

impl LookupLine {
    fn wake(&self) {
        if let Some(first) = self.waiters.front() {
            first.notify_one();
        }
    }
}

impl Waiter<'_> {
    /// Ends when something has changed since it ended last.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // One that has a place is not given up, so this is not read.
        self.waiting.line.leave(self.in_line);
        let mut lines = self.waiting.lines.borrow_mut();
        let Some(at) = lines.iter().position(|line| line.lookup == self.lookup) else {
            return;
        };
        let line = &mut lines[at];
        line.waiters.retain(|wake| !Rc::ptr_eq(wake, &self.wake));
        line.wake();
        if line.waiters.is_empty() {
            lines.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_first_of_each_lookup_is_woken_and_the_next_follows_it() {
        let waiting = Waiting::new(&GivenUp::default());
        let [first, second, other] = [1, 1, 2].map(|lookup| waiting.join(lookup));
        assert!(waiting.is_any());
        assert!(waiting.has(1) && waiting.has(2) && !waiting.has(3));
        let woken = |waiter: &Waiter<'_>| waiter.woken().now_or_never().is_some();
        assert!(![&first, &second, &other].into_iter().any(woken));
        waiting.changed();
        assert!(woken(&first) && !woken(&second) && woken(&other));
        assert!(!woken(&first), "nothing has changed since");
        // It has a place.
        drop(first);
        assert!(woken(&second) && !woken(&other));
        drop((second, other));
        assert!(!waiting.has(1) && !waiting.has(2) && !waiting.is_any());
    }

    #[test]
    fn one_that_gives_up_leaves_its_turn_to_the_next() {
        let waiting = Waiting::new(&GivenUp::default());
        let [first, second, third] = [1, 1, 1].map(|lookup| waiting.join(lookup));
        waiting.changed();
        drop(second);
        drop(first);
        assert!(third.woken().now_or_never().is_some());
    }
}
