//! Tasks that wait until they are let through, one after another, in turns of their callers.
//!
//! The owner decides when to let one through. A task that gives up leaves its place; if it had been let through without
//! knowing it yet, the owner hears of that and may let another one through.

use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::turns::Turns;
use crate::context::CallerId;

/// The tasks that wait for one thing.
#[derive(Debug)]
pub(super) struct Waiters {
    /// Keys of `all`, some of which have given up.
    queue: Turns<usize>,
    all: Slab<Waiter>,
    /// How many have not given up, and how much they weigh.
    waiting: usize,
    weight: usize,
}

#[derive(Debug)]
struct Waiter {
    state: State,
    weight: usize,
}

#[derive(Debug)]
enum State {
    Waits(Option<Waker>),
    /// It was let through, which it does not know yet.
    LetThrough,
    GaveUp,
}

impl Waiters {
    /// No task waits. A turn is as many tasks as `turn` says.
    pub(super) fn new(turn: usize) -> Self {
        Waiters {
            queue: Turns::new(turn),
            all: Slab::new(),
            waiting: 0,
            weight: 0,
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How much those weigh that are let through before the last task of a caller which has `own` waiting.
    pub(super) fn ahead(&self, own: usize) -> usize {
        let ahead = self.queue.ahead(own).min(self.waiting);
        (self.weight * ahead).checked_div(self.waiting).unwrap_or(0)
    }

    /// Adds a task, which polls itself by its key or leaves.
    pub(super) fn add(&mut self, caller: CallerId, weight: usize) -> usize {
        let state = State::Waits(None);
        let key = self.all.insert(Waiter { state, weight });
        self.queue.push(caller, key);
        self.waiting += 1;
        self.weight += weight;
        key
    }

    /// Lets the next task through, and returns its weight. `None`: no task waits.
    pub(super) fn let_through(&mut self) -> Option<usize> {
        while let Some(key) = self.queue.pop() {
            let waiter = &mut self.all[key];
            if let State::Waits(waker) = std::mem::replace(&mut waiter.state, State::LetThrough) {
                self.waiting -= 1;
                self.weight -= waiter.weight;
                if let Some(waker) = waker {
                    waker.wake();
                }
                return Some(waiter.weight);
            }
            self.all.remove(key);
        }
        None
    }

    /// Ready with its weight once the task was let through. Then its key is gone.
    pub(super) fn poll(&mut self, key: usize, cx: &Context<'_>) -> Poll<usize> {
        if let State::Waits(waker) = &mut self.all[key].state {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.all.remove(key).weight)
    }

    /// The task gives up. Returns its weight if it had been let through.
    pub(super) fn leave(&mut self, key: usize) -> Option<usize> {
        let waiter = &mut self.all[key];
        if let State::LetThrough = waiter.state {
            return Some(self.all.remove(key).weight);
        }
        waiter.state = State::GaveUp;
        self.waiting -= 1;
        self.weight -= waiter.weight;
        None
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
