//! Old answers: while a new one is fetched, and while the store fails.

use super::*;
use crate::value::Record;

const KEYS: &str =
    "cache = { ttl = '10s', stale = '20s', stale_if_error = '60s', negative_ttl = '5s' }";

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_stale_answer_is_served_at_once_and_asked_again_once() {
    let test = Test::new(KEYS);
    test.store.replies([value(1)]);
    assert_eq!(test.get(1).await, (Value::I64(1), Source::Backend));
    advance(9 * SECOND).await;
    let answer = test.call(1).await.expect("an answer");
    assert_eq!(
        (answer.value, answer.source),
        (Value::I64(1), Source::Cache)
    );
    assert_eq!(answer.age.map(|age| age.get() / 1_000_000), Some(9));
    advance(5 * SECOND).await;
    test.store.replies([Reply::Value(Value::I64(2), 100 * MS)]);
    for _ in 0..1000 {
        assert_eq!(test.get(1).await, (Value::I64(1), Source::Stale));
    }
    settle().await;
    assert_eq!(test.store.asked(), 2, "one question in the background");
    advance(100 * MS).await;
    settle().await;
    assert_eq!(test.get(1).await, (Value::I64(2), Source::Cache));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_hanging_store_costs_stale_answers_nothing() {
    let test = Test::new(KEYS);
    test.store.replies([value(1)]);
    test.get(1).await;
    advance(15 * SECOND).await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(test.get(1).await, (Value::I64(1), Source::Stale));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    // The question in the background has as much time as any call. A second after that it is asked again.
    for asked in 2..5 {
        test.get(1).await;
        settle().await;
        assert_eq!(test.store.asked(), asked);
        advance(SECOND + MS).await;
        settle().await;
        test.get(1).await;
        settle().await;
        assert_eq!(test.store.asked(), asked, "it failed only just now");
        advance(SECOND).await;
    }
    assert_eq!(
        *test.store.logged.borrow(),
        [Code::LookupTimeout; 3],
        "no call fails, so that nothing else logs it"
    );
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_outage_is_covered_until_the_answer_is_too_old() {
    let test = Test::new(KEYS);
    test.store.replies([value(1)]);
    test.get(1).await;
    advance(40 * SECOND).await;
    for code in [
        Code::LookupUnavailable,
        Code::LookupBreakerOpen,
        Code::LookupShed,
        Code::LookupTimeout,
    ] {
        test.store.replies([Reply::Fails(code)]);
        // For a second after that, the store is left alone.
        for _ in 0..3 {
            assert_eq!(test.get(1).await, (Value::I64(1), Source::Stale), "{code}");
        }
        advance(SECOND).await;
    }
    assert_eq!(
        (test.store.logged.borrow().len(), test.store.asked()),
        (4, 5)
    );
    // The answer of a store that answers stands.
    test.store.replies([Reply::Fails(Code::LookupBadParam)]);
    let err = test.call(1).await.expect_err("its own error");
    assert_eq!(err.code, Code::LookupBadParam);
    advance(60 * SECOND).await;
    test.store.replies([Reply::Fails(Code::LookupUnavailable)]);
    let err = test.call(1).await.expect_err("the answer is too old");
    assert_eq!(err.code, Code::LookupUnavailable);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_call_that_runs_out_of_time_gets_the_old_answer() {
    let test = Test::new(KEYS);
    assert!(test.late(1).is_none());
    test.store.replies([value(1)]);
    test.get(1).await;
    advance(40 * SECOND).await;
    let waiting = test.ask(1).waits();
    settle().await;
    // A caller in a hurry says nothing about the store.
    assert!(test.late_after(1, 100 * MS).is_some());
    drop(test.ask(1).waits());
    let late = test.late(1).expect("an old answer");
    assert_eq!((late.value, late.source), (Value::I64(1), Source::Stale));
    assert_eq!(late.age.map(|age| age.get() / 1_000_000), Some(40));
    assert!(!waiting.slots.is_queued(waiting.slot), "it was sent");
    // The next call need not wait for so long.
    assert_eq!(test.get(1).await, (Value::I64(1), Source::Stale));
    advance(60 * SECOND).await;
    assert!(test.late(1).is_none(), "it is too old");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn that_there_is_nothing_replaces_an_answer() {
    let test = Test::new(KEYS);
    let nothing = || Reply::Value(Value::Null, Duration::ZERO);
    test.store.replies([value(1), nothing()]);
    test.get(1).await;
    advance(40 * SECOND).await;
    assert_eq!(test.get(1).await, (Value::Null, Source::Backend));
    assert_eq!(test.get(1).await, (Value::Null, Source::Cache));
    advance(6 * SECOND).await;
    test.store.replies([Reply::Fails(Code::LookupUnavailable)]);
    test.call(1)
        .await
        .expect_err("it was deleted: no old answer");

    let test = Test::new("cache = { ttl = '10s', stale_if_error = '60s' }");
    test.store.replies([value(1), nothing(), nothing()]);
    test.get(1).await;
    advance(15 * SECOND).await;
    for _ in 0..2 {
        assert_eq!(test.get(1).await, (Value::Null, Source::Backend));
    }
    test.store.replies([Reply::Fails(Code::LookupUnavailable)]);
    test.call(1)
        .await
        .expect_err("it was deleted: no old answer");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn few_questions_at_a_time_are_asked_in_the_background() {
    let test = Test::new(KEYS);
    for key in 0..10 {
        test.store.replies([value(key)]);
        test.get(key).await;
    }
    advance(15 * SECOND).await;
    for key in 0..10 {
        assert_eq!(test.get(key).await, (Value::I64(key), Source::Stale));
    }
    settle().await;
    // An eighth of `in_flight_max`.
    assert_eq!(test.store.asked(), 10 + 2);
    advance(1100 * MS).await;
    settle().await;
    for key in 0..10 {
        test.get(key).await;
    }
    settle().await;
    assert_eq!(test.store.asked(), 10 + 4, "others than before");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_was_asked_before_a_purge_is_not_kept() {
    let test = Test::new(KEYS);
    test.store.replies([value(1), value(2)]);
    test.get(1).await;
    test.get(2).await;
    let all = |_: &[Value]| true;
    assert_eq!(
        test.cache
            .purge(Some(LookupId(0)), |key| *key == [Value::I64(2)]),
        1
    );
    assert_eq!(test.get(1).await, (Value::I64(1), Source::Cache));
    test.store.replies([Reply::Value(Value::I64(3), 10 * MS)]);
    let waiting = test.ask(2).waits();
    settle().await;
    assert_eq!(test.cache.purge(None, all), 1);
    assert_eq!(test.cache.purge(None, all), 0);
    let answer = waiting.outcome().await.expect("an answer");
    assert_eq!(answer.value, Value::I64(3));
    test.store.replies([value(4)]);
    assert_eq!(test.get(2).await, (Value::I64(4), Source::Backend));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_large_answer_is_copied_for_each_call_and_counted() {
    let test = Test::new("cache = { ttl = '30s' }");
    let rows = |rows: i64| {
        let row = |n| {
            Value::Record(Record {
                names: crate::value::FieldNames::new(["n"]),
                values: vec![Value::I64(n)],
            })
        };
        Value::List((0..rows).map(row).collect())
    };
    test.store
        .replies([Reply::Value(rows(10_000), Duration::ZERO)]);
    let first = test.ask(1).waits();
    let answer = loop {
        if let Some(answer) = first.now() {
            break answer.expect("an answer");
        }
        // The copy is made on a thread, which takes real time.
        yield_now().await;
    };
    assert_eq!(answer.value, rows(10_000));
    let [bytes, _] = test.memory.counts();
    let counted = || bytes[0].load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(counted(), 0, "the cache counts for itself");
    let now = Instant::now();
    let context = Context::new(now, now + SECOND);
    let slots = ReplySlots::with_capacity(0);
    let question = Question {
        lookup: LookupId(0),
        params: Params::Own([Value::I64(1)].into()),
        context: &context,
        asked: now,
        deadline: context.deadline,
        allowed: SECOND.into(),
        step: 0,
    };
    let way = Way {
        slots: &slots,
        outside: 1,
    };
    let Before::Later(later) = test.cache.before(&question, way) else {
        panic!("it is copied on another thread");
    };
    let answer = later.await.expect("there is room");
    assert!(answer.is_undecoded() && counted() > 0);
    let answer = answer.decoded().await.expect("it is copied");
    assert_eq!((answer.value, answer.source), (rows(10_000), Source::Cache));
    assert!(answer.is_large && counted() > 0);
    drop(answer.bulk);
    assert_eq!(counted(), 0);
}
