//! What answers hold, how they wait for room, and who may go over the limit, in paused time.

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Duration;

use super::*;

const MAX: usize = 1024 * 1024;

fn memory() -> StoreMemory {
    StoreMemory::new(&LimitsConfig {
        store_bytes_max: MAX,
        ..LimitsConfig::default()
    })
}

impl StoreMemory {
    fn now(&self) -> [u64; 2] {
        self.counts().map(|count| count[0].load(Ordering::Relaxed))
    }

    /// An answer of that size to a lookup of a call of its own.
    fn taken(&self, bytes: usize) -> Reading {
        let mut reading = self.read_shared();
        reading.now(bytes).expect("room");
        reading
    }
}

fn call() -> Context {
    let now = Instant::now();
    Context::new(now, now + Duration::from_secs(1))
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn small_answers_are_not_counted_and_large_ones_until_they_are_gone() {
    let memory = memory();
    let small = memory.taken(FREE_BYTES);
    assert_eq!(memory.now(), [0, 0]);
    assert!(small.held().is_nothing());

    let mut large = memory.taken(FREE_BYTES + 1);
    assert_eq!(memory.now()[0], 2 * STEP_BYTES as u64);
    large.now(2 * STEP_BYTES).expect("room");
    assert_eq!(memory.now()[0], 2 * STEP_BYTES as u64, "counted before");
    large.now(MAX).expect("room");
    let held = large.held();
    let other = held.clone();
    drop(held);
    assert_eq!(memory.now()[0], MAX as u64);
    let decoded = other.decoded(|| FREE_BYTES + 7);
    assert_eq!(memory.now()[0], FREE_BYTES as u64 + 7);
    let several = Held::several([decoded, Held::default()].into_iter());
    assert!(Held::several([Held::default()].into_iter()).is_nothing());
    assert_eq!(memory.now()[0], FREE_BYTES as u64 + 7);
    drop(several);
    assert_eq!(memory.now(), [0, 0]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn one_answer_may_go_beyond_the_limit_by_as_much_again() {
    let memory = memory();
    let full = memory.taken(MAX);
    let mut ahead = memory.taken(MAX / 2);
    memory.read_shared().now(MAX / 4).expect_err("no room");
    ahead.now(MAX).expect("still the first");
    assert!(ahead.now(MAX + 1).is_err(), "that is too much");
    assert_eq!(memory.now(), [2 * MAX as u64, 2]);
    let call = call();
    let alone = self::memory();
    let too_much = alone
        .read_for(&call)
        .wait(MAX + 1, call.deadline)
        .now_or_never();
    assert!(
        too_much.is_some_and(|waited| waited.is_err()),
        "waiting would not help"
    );
    memory.read_shared().now(FREE_BYTES).expect("small");

    drop(ahead);
    let next = memory.taken(MAX / 2);
    drop(full);
    drop(next);
    assert_eq!(memory.now(), [0, 2]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_answer_waits_for_room_until_its_deadline() {
    let memory = memory();
    let (full, _ahead) = (memory.taken(MAX), memory.taken(MAX / 4));
    let call = call();
    let mut late = memory.read_for(&call);
    let refused = late.wait(MAX / 2, call.deadline).await;
    refused.expect_err("late");
    assert_eq!(Instant::now(), call.deadline);
    assert_eq!(memory.now()[1], 1);

    let until = Instant::now() + Duration::from_secs(1);
    let mut waiting = memory.read_for(&call);
    {
        let mut waits = pin!(waiting.wait(MAX / 2, until));
        assert!(waits.as_mut().now_or_never().is_none());
        // One that has not begun does not take its place, unless it is small.
        let other = self::call();
        let mut newer = memory.read_for(&other);
        newer.wait(FREE_BYTES, until).await.expect("small");
        drop(full);
        assert!(newer.wait(MAX / 4, until).now_or_never().is_none());
        waits.await.expect("room");
    }
    assert_eq!(waiting.budget.waiting.get(), 0);
    assert_eq!(memory.now()[0], (MAX / 4 + MAX / 2) as u64);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn calls_that_each_hold_a_part_do_not_wait_for_each_other() {
    let memory = memory();
    let calls = [(); 4].map(|()| call());
    let until = calls[0].deadline;
    // The lookups of each call hold all of the memory together, and each of them wants twice as much.
    let begin = |at: usize| {
        let mut reading = memory.read_for(&calls[at / 2]);
        reading.now(MAX / 8).expect("room");
        reading
    };
    let readings: Vec<Reading> = (0..8).map(begin).collect();
    let mut ends: FuturesUnordered<_> = readings
        .into_iter()
        .enumerate()
        .map(async |(at, mut reading)| {
            reading.wait(MAX / 4, until).await.expect("its turn");
            (at / 2, reading.held())
        })
        .collect();
    // What a call holds goes when both of its lookups have ended.
    let mut ended: [Vec<Held>; 4] = Default::default();
    while let Some((call, held)) = ends.next().await {
        ended[call].push(held);
        if ended[call].len() == 2 {
            ended[call].clear();
        }
    }
    assert_eq!(memory.now(), [0, 0]);
}
