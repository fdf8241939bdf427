//! One lane: the lookups that wait in it, in their order, and how many are under way.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::context::CallerId;
use crate::guard::backlog::{Backlog, Backlogs};
use crate::guard::turns::{TURN, Turns};

/// A queue that stands for longer is served in turns of callers.
pub(super) const IN_ORDER: Duration = Duration::from_millis(10);

/// What waits in a lane.
pub(in crate::guard::batch) trait Queued {
    /// Whose turn it takes.
    fn caller(&self) -> CallerId;

    /// When it has waited too long, if there is a limit.
    fn latest(&self) -> Option<Instant> {
        None
    }
}

/// The lookups of one lane.
#[derive(Debug)]
pub(super) struct Lane<E> {
    /// In the order of arrival.
    pub(super) entries: VecDeque<E>,
    /// In turns. If there are any, `entries` is empty.
    pub(super) turns: Turns<E>,
    pub(super) backlog: Backlog,
    pub(super) batches: usize,
    pub(super) in_flight: usize,
    /// The most that may be under way, below the limit of the store.
    pub(super) in_flight_max: usize,
    /// When the last batch was sent.
    pub(super) sent: Option<Instant>,
    /// In `ready`, `paced` or `capped`.
    pub(super) is_listed: bool,
}

impl<E: Queued> Lane<E> {
    pub(super) fn new(backlogs: &Backlogs) -> Self {
        Lane {
            entries: VecDeque::new(),
            turns: Turns::new(TURN),
            backlog: Backlog::new(backlogs),
            batches: 0,
            in_flight: 0,
            in_flight_max: usize::MAX,
            sent: None,
            is_listed: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.turns.len()
    }

    #[inline]
    pub(super) fn push(&mut self, entry: E) {
        if self.turns.is_empty() {
            self.entries.push_back(entry);
        } else {
            self.turns.push(entry.caller(), entry);
        }
    }

    /// Moves the lookups into `expired` that have waited too long at `now`. Returns when the next one will have.
    pub(super) fn expire(&mut self, now: Instant, expired: &mut Vec<E>) -> Option<Instant> {
        let is_expired = |entry: &E| entry.latest().is_some_and(|latest| latest <= now);
        let in_turns = !self.turns.is_empty();
        let all: Vec<E> = if in_turns {
            std::iter::from_fn(|| self.turns.pop()).collect()
        } else {
            self.entries.drain(..).collect()
        };
        let mut next: Option<Instant> = None;
        for entry in all {
            if is_expired(&entry) {
                expired.push(entry);
                continue;
            }
            next = next.into_iter().chain(entry.latest()).min();
            if in_turns {
                self.turns.push(entry.caller(), entry);
            } else {
                self.entries.push_back(entry);
            }
        }
        next
    }

    /// Moves up to `room` lookups into `batch`.
    pub(super) fn take(
        &mut self,
        room: usize,
        now: Instant,
        batch: &mut VecDeque<E>,
        keep: impl Fn(&E) -> bool,
    ) {
        let in_turns = !self.turns.is_empty();
        if !in_turns && self.entries.len() <= room {
            // The usual case: the batch becomes the queue and the queue the batch, so that no entry is moved.
            std::mem::swap(batch, &mut self.entries);
            // Nearly always, all are wanted.
            let wanted = batch.iter().filter(|entry| keep(entry)).count();
            if wanted < batch.len() {
                batch.retain(keep);
            }
            return;
        }
        if !in_turns && self.backlog.has_stood(IN_ORDER, now) {
            for entry in self.entries.drain(..) {
                self.turns.push(entry.caller(), entry);
            }
        }
        while batch.len() < room
            && let Some(entry) = self.entries.pop_front().or_else(|| self.turns.pop())
        {
            if keep(&entry) {
                batch.push_back(entry);
            }
        }
    }
}
