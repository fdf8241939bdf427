//! Which lane sends what, and when, without a store.

use super::lane::IN_ORDER;
use super::*;
use crate::context::CallerId;

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

/// A lookup that may wait until then.
struct Impatient(u64, Instant);

impl Queued for Impatient {
    fn caller(&self) -> CallerId {
        CallerId(self.0)
    }

    fn latest(&self) -> Option<Instant> {
        Some(self.1)
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn lookups_that_have_waited_too_long_leave_the_queue_and_the_others_stay() {
    let ms = Duration::from_millis(1);
    let limits = Limits {
        in_flight_max: 1,
        ..LIMITS
    };
    let mut lanes: Lanes<Impatient> = Lanes::new(limits, &Backlogs::default());
    let start = Instant::now();
    assert!(
        lanes.push(0, Impatient(0, start + 30 * ms)),
        "it may be sent"
    );
    let mut batch = VecDeque::new();
    let sent = lanes.take(start, &mut batch, |_| true);
    assert!(sent.is_some() && batch.len() == 1);
    assert!(
        lanes.push(0, Impatient(1, start + 50 * ms)),
        "it may be sent"
    );
    assert!(
        !lanes.push(0, Impatient(2, start + 40 * ms)),
        "an earlier end of a wait is known"
    );
    let gone = |lanes: &mut Lanes<Impatient>, at: u32| {
        let expired = lanes.expire(start + at * ms);
        expired.iter().map(|entry| entry.0).collect::<Vec<_>>()
    };
    assert_eq!(lanes.expiry(), Some(start + 30 * ms));
    assert_eq!(gone(&mut lanes, 30), [0_u64; 0], "it was sent");
    assert_eq!(lanes.expiry(), Some(start + 40 * ms));
    assert!(
        !lanes.push(0, Impatient(3, start + 60 * ms)),
        "a longer wait"
    );
    assert!(
        lanes.push(0, Impatient(4, start + 38 * ms)),
        "a shorter one"
    );
    assert_eq!(gone(&mut lanes, 37), [0_u64; 0]);
    assert_eq!(gone(&mut lanes, 50), [1, 2, 4]);
    assert_eq!(
        (lanes.waiting(), lanes.expiry()),
        (1, Some(start + 60 * ms))
    );
    assert_eq!(gone(&mut lanes, 60), [3]);
    assert_eq!((lanes.waiting(), lanes.expiry()), (0, None));
}
