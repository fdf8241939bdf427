//! Queues the lookups of one store by lane, and decides which lane sends its next batch, and when.
//!
//! The lookups of one lane travel together and may have to wait for each other: they ask one statement, or one server. No lane
//! waits for another one: lanes take turns, each has its own batches under way, and no lane holds all of the store's
//! `in_flight_max`. How much one lane may hold follows from how much is free (the dynamic thresholds of Choudhury and Hahne,
//! "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998), so it needs no setting.
//!
//! A lane sends a batch at once if the batch is full, or as long as few of its batches are under way. Beyond that it sends at
//! a limited rate, so that a fast store gets few large batches, and a distant store as many as fit into `in_flight_max`.
//!
//! A queue is a plain list in the order of arrival. Only if it stands for longer than [`lane::IN_ORDER`] do callers take turns in
//! it: until then, no caller costs another one more than that time.
//!
//! Nothing here wakes anyone.

mod lane;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use self::lane::Lane;
pub(super) use self::lane::Queued;
use super::super::backlog::{Backlog, Backlogs, Pace, Prospect};

/// A lane with fewer batches than this under way sends the next one at once.
const BATCHES_AT_ONCE: usize = 4;
/// A lane with more batches under way sends the next one at least this long after the last one.
const PACE: Duration = Duration::from_millis(1);
/// While there are other lanes, a lane may hold this many times as much as is free: four fifths of all if it is the only
/// busy one.
const SHARE_OF_FREE: usize = 4;
/// No more lookups wait for one store, whatever its `waiting_max`: with what belongs to it, each takes up to 256 bytes, so all
/// of them 64 MiB.
const WAITING_CEILING: usize = 256 * 1024;

/// The limits of one store on one loop.
#[expect(clippy::struct_field_names, reason = "the keys of the configuration")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The lookups of one batch.
    pub(super) batch_max: usize,
    /// The lookups under way.
    pub(super) in_flight_max: usize,
    /// The lookups of a lane that wait for a store which does not answer.
    pub(super) waiting_max: usize,
}

/// The lookups `E` that wait for one store, and how many are under way to it.
#[derive(Debug)]
pub(super) struct Lanes<E> {
    all: Vec<Lane<E>>,
    /// The lanes that may send as far as they know, in the order of their turns.
    ready: VecDeque<usize>,
    /// The lanes that wait for [`PACE`].
    paced: Vec<usize>,
    /// The lanes that hold their share, and wait until something that is under way ends.
    capped: Vec<usize>,
    waiting: usize,
    /// When the first lookup that waits may have waited too long.
    expiry: Option<Instant>,
    in_flight: usize,
    limits: Limits,
    backlogs: Backlogs,
}

/// A batch under way.
#[derive(Debug)]
pub(super) struct Sent {
    lane: usize,
    /// How many of its lookups have no answer yet.
    count: usize,
}

impl<E: Queued> Lanes<E> {
    pub(super) fn new(limits: Limits, backlogs: &Backlogs) -> Self {
        Lanes {
            all: Vec::new(),
            ready: VecDeque::new(),
            paced: Vec::new(),
            capped: Vec::new(),
            waiting: 0,
            expiry: None,
            in_flight: 0,
            limits,
            backlogs: backlogs.clone(),
        }
    }

    /// How many lookups wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many lookups are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether [`Lanes::take`] is worth a look at the clock.
    pub(super) fn may_have_batch(&self) -> bool {
        !(self.ready.is_empty() && self.paced.is_empty())
            && self.in_flight < self.limits.in_flight_max
    }

    /// Whether a lane can't take another lookup: there is no memory, or `waiting_max` lookups wait for a store that does not
    /// answer. If it answers, calls whose lookups would wait too long are refused before they begin.
    #[inline]
    pub(super) fn is_full(&mut self, lane: usize, now: impl FnOnce() -> Instant) -> bool {
        self.waiting >= self.limits.waiting_max && self.has_no_room(lane, now)
    }

    #[cold]
    fn has_no_room(&mut self, lane: usize, now: impl FnOnce() -> Instant) -> bool {
        let Limits { waiting_max, .. } = self.limits;
        let is_stuck = |lane: &mut Lane<E>| {
            lane.len() >= waiting_max && lane.backlog.pace(now()) == Pace::Silent
        };
        self.waiting >= waiting_max.max(WAITING_CEILING)
            || self.all.get_mut(lane).is_some_and(is_stuck)
    }

    /// Gives a lane a limit of its own.
    pub(super) fn limit(&mut self, lane: usize, in_flight_max: usize) {
        self.make(lane);
        self.all[lane].in_flight_max = in_flight_max;
    }

    #[inline]
    fn make(&mut self, lane: usize) {
        if lane >= self.all.len() {
            self.make_up_to(lane);
        }
    }

    #[cold]
    fn make_up_to(&mut self, last: usize) {
        let backlogs = &self.backlogs;
        self.all.resize_with(last + 1, || Lane::new(backlogs));
    }

    /// A lookup that waits expires then. Returns whether no other one does before.
    #[cold]
    fn expires_at(&mut self, latest: Instant) -> bool {
        let is_first = self.expiry.is_none_or(|first| latest < first);
        if is_first {
            self.expiry = Some(latest);
        }
        is_first
    }

    /// When a lookup that waits may have waited too long.
    pub(super) fn expiry(&self) -> Option<Instant> {
        self.expiry
    }

    /// Whether [`Lanes::expire`] is worth a look at the clock.
    pub(super) fn may_expire(&self) -> bool {
        self.expiry.is_some()
    }

    /// Takes out the lookups that have waited too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<E> {
        let mut expired = Vec::new();
        if self.expiry.is_some_and(|expiry| expiry <= now) {
            let lanes = self.all.iter_mut();
            self.expiry = lanes
                .filter_map(|lane| lane.expire(now, &mut expired))
                .min();
            self.waiting -= expired.len();
        }
        expired
    }

    /// Queues a lookup in its lane. Returns whether the dispatcher has something new to do: to send a batch that could not be sent
    /// before, or to wait for the end of a shorter wait.
    #[inline]
    pub(super) fn push(&mut self, at: usize, entry: E) -> bool {
        self.make(at);
        self.waiting += 1;
        let is_first_to_expire = entry.latest().is_some_and(|latest| self.expires_at(latest));
        let lane = &mut self.all[at];
        lane.push(entry);
        if lane.is_listed {
            return is_first_to_expire;
        }
        lane.is_listed = true;
        self.ready.push_back(at);
        true
    }

    /// What a lookup finds in a lane whose caller has `own` in it.
    pub(super) fn prospect(&mut self, lane: usize, own: usize, now: Instant) -> Option<Prospect> {
        let lane = self.all.get_mut(lane)?;
        let ahead = if lane.turns.is_empty() {
            lane.entries.len()
        } else {
            lane.turns.ahead(own)
        };
        Some(Prospect {
            pace: lane.backlog.pace(now),
            ahead,
            in_flight: lane.in_flight,
        })
    }

    /// Looks at a lane, which has so many lookups in it.
    pub(super) fn with_backlog<R>(
        &mut self,
        lane: usize,
        look: impl FnOnce(&mut Backlog, usize) -> R,
    ) -> Option<R> {
        let lane = self.all.get_mut(lane)?;
        let waiting = lane.len();
        Some(look(&mut lane.backlog, waiting))
    }

    /// To be called when no batch can be sent: whatever still waits is left over.
    pub(super) fn rest(&mut self, now: impl Fn() -> Instant) {
        if self.waiting > 0 || self.backlogs.any() {
            for lane in &mut self.all {
                lane.backlog.rest(lane.len(), &now);
            }
        }
    }

    /// Moves the next batch into `batch`, which is empty. `keep` is asked about each lookup, perhaps twice; those whose
    /// call has ended are dropped. `None`: nothing may be sent now, but perhaps at [`Lanes::due`] or when a batch has ended.
    pub(super) fn take(
        &mut self,
        now: Instant,
        batch: &mut VecDeque<E>,
        keep: impl Fn(&E) -> bool,
    ) -> Option<Sent> {
        self.release(now);
        while self.in_flight < self.limits.in_flight_max {
            let at = self.ready.pop_front()?;
            if let Some(sent) = self.take_from(at, now, batch, &keep) {
                return Some(sent);
            }
        }
        None
    }

    fn take_from(
        &mut self,
        at: usize,
        now: Instant,
        batch: &mut VecDeque<E>,
        keep: impl Fn(&E) -> bool,
    ) -> Option<Sent> {
        let room = self.room(at);
        let lane = &mut self.all[at];
        let before = lane.len();
        if lane.batches >= BATCHES_AT_ONCE
            && before < self.limits.batch_max
            && lane.sent.is_some_and(|sent| now < sent + PACE)
        {
            self.paced.push(at);
            return None;
        }
        if room == 0 {
            self.capped.push(at);
            return None;
        }
        lane.is_listed = false;
        lane.take(room, now, batch, keep);
        self.waiting -= before - lane.len();
        let count = batch.len();
        if count == 0 {
            return None;
        }
        lane.batches += 1;
        lane.in_flight += count;
        lane.sent = Some(now);
        self.in_flight += count;
        if lane.len() > 0 {
            lane.is_listed = true;
            self.ready.push_back(at);
        }
        Some(Sent { lane: at, count })
    }

    /// How many lookups a lane may send now.
    fn room(&self, at: usize) -> usize {
        let free = self.limits.in_flight_max.saturating_sub(self.in_flight);
        let lane = &self.all[at];
        // With nothing under way, a lane always has a turn.
        let share = if self.all.len() == 1 || lane.in_flight == 0 {
            free
        } else {
            (free * SHARE_OF_FREE)
                .saturating_sub(lane.in_flight)
                .min(free)
        };
        let own = lane.in_flight_max.saturating_sub(lane.in_flight);
        share.min(own).min(self.limits.batch_max)
    }

    /// So many more lookups of a batch have their answers, `served` of them in time and from the store. The others are still
    /// under way, perhaps at a server that hangs.
    pub(super) fn answered(&mut self, sent: &mut Sent, count: usize, served: usize) {
        let count = count.min(sent.count);
        sent.count -= count;
        let lane = &mut self.all[sent.lane];
        lane.in_flight -= count;
        lane.backlog.served(served);
        self.in_flight -= count;
        self.ready.extend(self.capped.drain(..));
    }

    /// A batch has ended. Returns whether another may be sent.
    pub(super) fn ended(&mut self, sent: &mut Sent) -> bool {
        self.answered(sent, usize::MAX, 0);
        let lane = &mut self.all[sent.lane];
        lane.batches -= 1;
        if lane.batches < BATCHES_AT_ONCE
            && let Some(at) = self.paced.iter().position(|paced| *paced == sent.lane)
        {
            self.paced.swap_remove(at);
            self.ready.push_back(sent.lane);
        }
        !self.ready.is_empty()
    }

    /// When the first of the lanes that wait for their pace may send. `None` if something that is under way has to end first.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.in_flight >= self.limits.in_flight_max {
            return None;
        }
        let sent = self.paced.iter().filter_map(|at| self.all[*at].sent);
        sent.min().map(|sent| sent + PACE)
    }

    /// Makes the lanes ready whose pace allows it.
    fn release(&mut self, now: Instant) {
        let lanes = &self.all;
        let may_send = |at: &mut usize| lanes[*at].sent.is_none_or(|sent| sent + PACE <= now);
        self.ready.extend(self.paced.extract_if(.., may_send));
    }
}

#[cfg(test)]
mod tests;
