//! The limits of a cache, and how long its entries live.

use futures_util::FutureExt as _;

use super::super::answer::SharedAnswer;
use super::super::entries::{Entries, Kept, Phase};
use super::super::key::Key;
use super::*;
use crate::config::GuardMode;
use crate::program::CachePolicy;

fn policy(entries: usize, bytes: usize) -> CachePolicy {
    CachePolicy {
        mode: GuardMode::Enforce,
        ttl: 100 * SECOND,
        stale: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        negative_ttl: Duration::ZERO,
        invalidate: None,
        entries,
        bytes,
    }
}

fn key(number: i64) -> Key {
    Key::copy_of(&[Value::I64(number)])
}

fn kept(bytes: usize) -> Kept {
    let mut answer = Answer::new(Value::from("x".repeat(bytes)));
    let copy = SharedAnswer::copy_of(&mut answer, usize::MAX).now_or_never();
    let copy = copy.flatten().expect("a small copy is made at once");
    Kept::Answer(Rc::new(copy))
}

#[tokio::test(start_paused = true)]
async fn neither_entries_nor_bytes_exceed_their_limits() {
    for (entries_max, bytes_max, size) in [(50, 1 << 20, 10), (10_000, 100_000, 1000)] {
        let policy = policy(entries_max, bytes_max);
        let mut entries = Entries::new(&policy, &mut Random::seeded(1));
        let mut evicted = 0;
        for number in 0..1000 {
            let evictions = entries.keep(&key(number), kept(size), (Instant::now(), None));
            evicted += evictions.entries;
            assert!(entries.len() <= entries_max && entries.bytes() <= bytes_max);
        }
        assert!(entries.len() >= 45, "{} of them", entries.len());
        assert_eq!(evicted, 1000 - entries.len());
        let held: usize = (0..1000)
            .filter(|number| {
                let found = entries.find(&[Value::I64(*number)], Instant::now());
                found.is_some()
            })
            .count();
        assert_eq!(held, entries.len());
        assert_eq!(entries.purge(|_| true), held);
        assert_eq!((entries.len(), entries.bytes()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_larger_than_the_cache_is_not_kept_and_its_predecessor_is_dropped() {
    let mut entries = Entries::new(&policy(100, 10_000), &mut Random::seeded(1));
    entries.keep(&key(1), kept(100), (Instant::now(), None));
    assert_eq!(entries.len(), 1);
    entries.keep(&key(1), kept(20_000), (Instant::now(), None));
    assert_eq!((entries.len(), entries.bytes()), (0, 0));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_answer_that_does_not_fit_replaces_the_one_before() {
    let test = Test::new("cache = { ttl = '10s', stale_if_error = '1h', bytes = '2KiB' }");
    let long = Value::from("x".repeat(5000));
    test.store
        .replies([value(1), Reply::Value(long.clone(), Duration::ZERO)]);
    test.get(1).await;
    advance(15 * SECOND).await;
    assert_eq!(test.get(1).await, (long, Source::Backend));
    test.store.replies([Reply::Fails(Code::LookupUnavailable)]);
    test.call(1).await.expect_err("the old answer is wrong now");
}

#[tokio::test(start_paused = true)]
async fn answers_that_came_together_expire_one_by_one() {
    let mut entries = Entries::new(&policy(1000, 1 << 20), &mut Random::seeded(1));
    let asked = Instant::now();
    for number in 0..500 {
        entries.keep(&key(number), kept(1), (asked, None));
    }
    let fresh = |entries: &Entries, seconds: u64| {
        let at = asked + Duration::from_secs(seconds);
        let is_fresh = |number: &i64| {
            let found = entries.find(&[Value::I64(*number)], at);
            found.is_some_and(|(_, phase)| phase == Phase::Fresh)
        };
        (0..500).filter(is_fresh).count()
    };
    assert_eq!((fresh(&entries, 94), fresh(&entries, 106)), (500, 0));
    let half = fresh(&entries, 100);
    assert!((200..300).contains(&half), "{half}");
    assert_eq!(half, fresh(&entries, 100), "each has its own time");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_question_does_not_replace_the_answer_of_a_later_one() {
    let mut entries = Entries::new(&policy(100, 1 << 20), &mut Random::seeded(1));
    let early = Instant::now();
    let late = early + SECOND;
    entries.keep(&key(1), kept(5), (late, None));
    entries.keep(&key(1), Kept::Nothing, (early, None));
    let (entry, _) = entries.find(&[Value::I64(1)], late).expect("it is kept");
    assert_eq!(entry.asked(), late);
    entries.keep(&key(1), Kept::Nothing, (late, None));
    assert!(entries.find(&[Value::I64(1)], late).is_none());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_measured_cache_counts_and_answers_nothing() {
    let test = Test::new("cache = { ttl = '30s', mode = 'measure' }\ncoalesce = true");
    for number in 0..3 {
        test.store.replies([value(number)]);
        assert_eq!(test.get(1).await, (Value::I64(number), Source::Backend));
    }
    assert!(test.late(1).is_none());
    assert_eq!(test.store.asked(), 3);
    assert_eq!(test.cache.purge(None, |_| true), 1, "it was remembered");
}
