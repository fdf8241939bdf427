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
//! A queue is a plain list in the order of arrival. Only if it stands for longer than [`IN_ORDER`] do callers take turns in
//! it: until then, no caller costs another one more than that time.
//!
//! Nothing here wakes anyone.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::super::backlog::{Backlog, Backlogs, Pace, Prospect};
use super::super::turns::{TURN, Turns};
use crate::context::CallerId;

/// A lane with fewer batches than this under way sends the next one at once.
const BATCHES_AT_ONCE: usize = 4;
/// A lane with more batches under way sends the next one at least this long after the last one.
const PACE: Duration = Duration::from_millis(1);
/// While there are other lanes, a lane may hold this many times as much as is free: four fifths of all if it is the only
/// busy one.
const SHARE_OF_FREE: usize = 4;
/// A queue that stands for longer is served in turns of callers.
const IN_ORDER: Duration = Duration::from_millis(10);
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

/// What waits in a lane.
pub(super) trait Queued {
    /// Whose turn it takes.
    fn caller(&self) -> CallerId;
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
    in_flight: usize,
    limits: Limits,
    backlogs: Backlogs,
}

#[derive(Debug)]
struct Lane<E> {
    /// In the order of arrival.
    entries: VecDeque<E>,
    /// In turns. If there are any, `entries` is empty.
    turns: Turns<E>,
    backlog: Backlog,
    batches: usize,
    in_flight: usize,
    /// The most that may be under way, below the limit of the store.
    in_flight_max: usize,
    /// When the last batch was sent.
    sent: Option<Instant>,
    /// In `ready`, `paced` or `capped`.
    is_listed: bool,
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
    pub(super) fn is_full(&mut self, lane: usize, now: impl FnOnce() -> Instant) -> bool {
        let Limits { waiting_max, .. } = self.limits;
        if self.waiting < waiting_max {
            return false;
        }
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

    fn make(&mut self, lane: usize) {
        if lane >= self.all.len() {
            let backlogs = &self.backlogs;
            self.all.resize_with(lane + 1, || Lane::new(backlogs));
        }
    }

    /// Queues a lookup in its lane. Returns whether a batch may now be sent that could not be sent before.
    pub(super) fn push(&mut self, lane: usize, entry: E) -> bool {
        self.make(lane);
        self.waiting += 1;
        self.all[lane].push(entry);
        self.list(lane)
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

    /// Puts a lane into `ready` if it has lookups and is not listed.
    fn list(&mut self, at: usize) -> bool {
        let lane = &mut self.all[at];
        if lane.is_listed || lane.len() == 0 {
            return false;
        }
        lane.is_listed = true;
        self.ready.push_back(at);
        true
    }

    /// Moves the next batch into `batch`, which is empty. `keep` is asked about each lookup; those that nobody wants any more
    /// are dropped. `None`: nothing may be sent now, but perhaps at [`Lanes::due`] or when a batch has ended.
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
        self.list(at);
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

impl<E: Queued> Lane<E> {
    fn new(backlogs: &Backlogs) -> Self {
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

    fn len(&self) -> usize {
        self.entries.len() + self.turns.len()
    }

    fn push(&mut self, entry: E) {
        if self.turns.is_empty() {
            self.entries.push_back(entry);
        } else {
            self.turns.push(entry.caller(), entry);
        }
    }

    /// Moves up to `room` lookups into `batch`.
    fn take(
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
            return batch.retain(keep);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        batch_max: 10,
        in_flight_max: 100,
        waiting_max: 30,
    };

    /// A hundred are one caller's.
    impl Queued for u32 {
        fn caller(&self) -> CallerId {
            CallerId(u64::from(self / 100))
        }
    }

    fn lanes(limits: Limits) -> Lanes<u32> {
        Lanes::new(limits, &Backlogs::default())
    }

    /// Takes the next batch: its lane, its lookups, and what says that it is under way.
    fn take(lanes: &mut Lanes<u32>, now: Instant) -> Option<(usize, Vec<u32>, Sent)> {
        let mut batch = VecDeque::new();
        let sent = lanes.take(now, &mut batch, |_| true)?;
        Some((sent.lane, batch.into(), sent))
    }

    fn push(lanes: &mut Lanes<u32>, lane: usize, entries: std::ops::Range<u32>) {
        for entry in entries {
            lanes.push(lane, entry);
        }
    }

    #[test]
    fn lanes_take_turns_and_send_batches_of_their_own() {
        let mut lanes = lanes(LIMITS);
        let now = Instant::now();
        assert!(lanes.push(0, 0), "the first one wakes the dispatcher");
        assert!(!lanes.push(0, 1));
        push(&mut lanes, 0, 2..12);
        push(&mut lanes, 1, 12..14);
        let mut turns = Vec::new();
        while let Some((lane, batch, _sent)) = take(&mut lanes, now) {
            turns.push((lane, batch));
        }
        let want = [(0, (0..10).collect()), (1, vec![12, 13]), (0, vec![10, 11])];
        assert_eq!(turns, want);
        assert_eq!((lanes.waiting(), lanes.in_flight()), (0, 14));
        assert!(lanes.push(1, 14), "a lane that was empty may send again");
    }

    #[test]
    fn a_lane_with_many_batches_under_way_sends_at_its_pace_and_others_at_once() {
        let mut lanes = lanes(LIMITS);
        let now = Instant::now();
        let mut under_way = Vec::new();
        for entry in 0..4 {
            lanes.push(0, entry);
            under_way.push(take(&mut lanes, now).expect("one of few").2);
        }
        lanes.push(0, 4);
        assert!(take(&mut lanes, now).is_none(), "four are under way");
        assert_eq!(lanes.due(), Some(now + PACE));
        push(&mut lanes, 0, 5..7);
        lanes.push(1, 7);
        let (lane, batch, _) = take(&mut lanes, now).expect("the other lane");
        assert_eq!((lane, batch), (1, vec![7]));
        let later = now + PACE;
        let (lane, batch, _) = take(&mut lanes, later).expect("a millisecond later");
        assert_eq!((lane, batch), (0, vec![4, 5, 6]));
        // One of five ends: the pace holds. Another one: the lane is free.
        for (entry, is_paced) in [(8, true), (9, false)] {
            lanes.push(0, entry);
            assert!(take(&mut lanes, later).is_none());
            lanes.ended(&mut under_way.pop().expect("there were four"));
            assert_eq!(lanes.due().is_some(), is_paced);
        }
        let (_, batch, _) = take(&mut lanes, later).expect("three are under way");
        assert_eq!(batch, [8, 9]);
    }

    #[test]
    fn no_lane_holds_everything_but_a_single_one_may() {
        let mut alone = lanes(LIMITS);
        push(&mut alone, 0, 0..200);
        let mut now = Instant::now();
        let mut held = 0;
        while let Some((_, batch, _)) = take(&mut alone, now) {
            held += batch.len();
            now += PACE;
        }
        assert_eq!(held, 100);
        let mut lanes = lanes(LIMITS);
        push(&mut lanes, 0, 0..200);
        lanes.push(1, 0);
        let (mut slow, mut quick) = (Vec::new(), Vec::new());
        while let Some((lane, batch, sent)) = take(&mut lanes, now) {
            let of_lane = if lane == 0 { &mut slow } else { &mut quick };
            of_lane.push((batch.len(), sent));
            now += PACE;
        }
        let held: usize = slow.iter().map(|(count, _)| count).sum();
        assert_eq!((held, quick.len()), (80, 1));
        lanes.push(1, 1);
        assert!(
            take(&mut lanes, now).is_some(),
            "there is room for the other"
        );
        assert!(take(&mut lanes, now).is_none());
        assert_eq!(lanes.due(), None, "only an end can let the first one send");
        assert!(lanes.ended(&mut slow.pop().expect("many").1));
        let (lane, batch, _) = take(&mut lanes, now).expect("some are free");
        assert_eq!((lane, batch.len()), (0, 10));
    }

    #[test]
    fn a_full_store_waits_for_an_end_without_a_timer() {
        let mut lanes = lanes(Limits {
            batch_max: 4,
            in_flight_max: 6,
            ..LIMITS
        });
        push(&mut lanes, 0, 0..10);
        let now = Instant::now();
        let (_, first, mut sent) = take(&mut lanes, now).expect("room");
        let (_, second, _) = take(&mut lanes, now).expect("some room");
        assert_eq!((first.len(), second.len()), (4, 2));
        assert!(!lanes.may_have_batch() && take(&mut lanes, now).is_none());
        assert_eq!(lanes.due(), None);
        assert!(lanes.ended(&mut sent));
        let (_, third, _) = take(&mut lanes, now).expect("room again");
        assert_eq!((third, lanes.waiting()), (vec![6, 7, 8, 9], 0));
    }

    #[test]
    fn lookups_that_nobody_wants_are_not_sent() {
        let mut lanes = lanes(LIMITS);
        push(&mut lanes, 0, 0..25);
        let now = Instant::now();
        let mut batch = VecDeque::new();
        let sent = lanes.take(now, &mut batch, |entry| *entry >= 12);
        assert!(sent.is_some());
        assert_eq!(batch, (12..22).collect::<VecDeque<u32>>());
        assert_eq!((lanes.waiting(), lanes.in_flight()), (3, 10));
        batch.clear();
        assert!(lanes.take(now, &mut batch, |_| false).is_none());
        assert!(batch.is_empty());
        assert_eq!((lanes.waiting(), lanes.in_flight()), (0, 10));
    }

    #[test]
    fn answered_lookups_make_room_although_their_batch_goes_on() {
        let mut lanes = lanes(Limits {
            batch_max: 4,
            in_flight_max: 4,
            ..LIMITS
        });
        push(&mut lanes, 0, 0..6);
        let now = Instant::now();
        let (_, _, mut sent) = take(&mut lanes, now).expect("room");
        assert!(take(&mut lanes, now).is_none(), "four are under way");
        lanes.answered(&mut sent, 3, 3);
        let (_, next, _) = take(&mut lanes, now).expect("three have their answers");
        assert_eq!((next, lanes.in_flight()), (vec![4, 5], 3));
        lanes.ended(&mut sent);
        assert_eq!(lanes.in_flight(), 2, "each is counted once");
    }

    #[test]
    fn full_batches_leave_at_once_up_to_the_limit() {
        let mut lanes = lanes(LIMITS);
        push(&mut lanes, 0, 0..105);
        let now = Instant::now();
        let mut sent = 0;
        while let Some((_, batch, _)) = take(&mut lanes, now) {
            sent += batch.len();
        }
        assert_eq!((sent, lanes.waiting()), (100, 5));
    }

    #[test]
    fn a_burst_is_never_too_long_and_a_queue_of_a_silent_store_is() {
        let mut lanes = lanes(LIMITS);
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        push(&mut lanes, 0, 0..1000);
        let mut under_way: Vec<_> = std::iter::from_fn(|| take(&mut lanes, start)).collect();
        lanes.rest(|| start);
        assert!(!lanes.is_full(0, || start), "a burst");
        // The store answers slowly, but it does.
        for ms in [400, 800, 1200] {
            let (_, _, sent) = under_way.last_mut().expect("ten");
            lanes.answered(sent, 1, 1);
            assert!(!lanes.is_full(0, || after(ms)));
        }
        let prospect = lanes.prospect(0, 7, after(1200)).expect("a lane");
        assert_eq!((prospect.ahead, prospect.in_flight), (900, 97));
        assert_eq!(prospect.pace.time(5), Duration::from_secs(2));
        // What it says too late, or fails to say, does not count.
        let (_, _, sent) = under_way.last_mut().expect("ten");
        lanes.answered(sent, 1, 0);
        assert!(!lanes.is_full(0, || after(2199)));
        assert!(lanes.is_full(0, || after(2200)));
        assert!(!lanes.is_full(1, || after(2200)), "another lane");
        let prospect = lanes.prospect(0, 7, after(2200)).expect("a lane");
        assert_eq!(prospect.pace, Pace::Silent);
    }

    #[test]
    fn nothing_waits_beyond_the_ceiling() {
        let mut lanes = lanes(LIMITS);
        let now = Instant::now();
        let ceiling = u32::try_from(WAITING_CEILING).expect("it is small");
        push(&mut lanes, 0, 0..ceiling - 1);
        assert!(!lanes.is_full(0, || now));
        lanes.push(0, 0);
        assert!(lanes.is_full(0, || now) && lanes.is_full(1, || now));
    }

    #[test]
    fn callers_take_turns_in_a_queue_that_stands() {
        let mut lanes = lanes(Limits {
            in_flight_max: 10,
            ..LIMITS
        });
        let start = Instant::now();
        let greedy = 0..90;
        push(&mut lanes, 0, greedy);
        let next = |lanes: &mut Lanes<u32>, now| {
            let (_, batch, mut sent) = take(lanes, now).expect("room");
            lanes.rest(|| now);
            lanes.ended(&mut sent);
            batch
        };
        assert_eq!(next(&mut lanes, start), (0..10).collect::<Vec<u32>>());
        push(&mut lanes, 0, 100..103);
        let soon = start + IN_ORDER - Duration::from_millis(1);
        assert_eq!(next(&mut lanes, soon), (10..20).collect::<Vec<u32>>());
        // From here on the polite one's come after one turn of the greedy one.
        let later = start + IN_ORDER;
        assert_eq!(next(&mut lanes, later), (20..30).collect::<Vec<u32>>());
        let prospect = lanes.prospect(0, 3, later).expect("a lane");
        assert_eq!(prospect.ahead, 48);
        let batch = next(&mut lanes, later);
        assert_eq!(batch, [30, 31, 32, 33, 34, 35, 100, 101, 102, 36]);
        for _ in 0..6 {
            next(&mut lanes, later);
        }
        assert_eq!(lanes.waiting(), 0);
        lanes.push(0, 5);
        assert_eq!(
            next(&mut lanes, later),
            [5],
            "in the order of arrival again"
        );
    }

    #[test]
    fn held_calls_begin_although_nothing_was_left_over() {
        let mut lanes = lanes(Limits {
            batch_max: 4096,
            in_flight_max: 4096,
            ..LIMITS
        });
        let now = Instant::now();
        push(&mut lanes, 0, 0..2000);
        let hold = |backlog: &mut Backlog, waiting| {
            assert!(backlog.is_long(waiting));
            backlog.hold(CallerId(1), 7, || now)
        };
        lanes.with_backlog(0, hold).expect("a lane");
        assert!(take(&mut lanes, now).is_some() && lanes.waiting() == 0);
        lanes.rest(|| now);
        let held = lanes.with_backlog(0, |backlog, _| backlog.held().waiting());
        assert_eq!(held, Some(0));
    }

    #[test]
    fn a_lane_with_a_limit_of_its_own_keeps_to_it() {
        let mut lanes = Lanes::new(LIMITS, &Backlogs::default());
        lanes.limit(1, 3);
        push(&mut lanes, 1, 0..5);
        push(&mut lanes, 0, 5..7);
        let now = Instant::now();
        let (_, first, mut sent) = take(&mut lanes, now).expect("room");
        assert_eq!(first, [0, 1, 2]);
        let (lane, _, _) = take(&mut lanes, now).expect("another lane");
        assert_eq!(lane, 0);
        assert!(take(&mut lanes, now).is_none());
        lanes.answered(&mut sent, 1, 1);
        let (_, next, _) = take(&mut lanes, now).expect("one has its answer");
        assert_eq!(next, [3]);
    }
}
