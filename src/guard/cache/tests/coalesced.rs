//! Equal questions are asked once, and no call's end is another call's.

use super::*;

#[tokio::test(flavor = "local", start_paused = true)]
async fn ten_thousand_callers_of_one_missing_key_ask_once() {
    let test = Test::new("cache = { ttl = '30s' }");
    test.store.replies([Reply::Value(Value::I64(7), 5 * MS)]);
    let waiting: Vec<Waiting> = (0..10_000).map(|_| test.ask(1).waits()).collect();
    let mut sources = std::collections::BTreeMap::new();
    for call in &waiting {
        let answer = call.outcome().await.expect("an answer");
        assert_eq!(answer.value, Value::I64(7));
        *sources.entry(answer.source.as_str()).or_insert(0) += 1;
    }
    assert_eq!(test.store.asked(), 1);
    assert_eq!(sources, [("backend", 1), ("coalesced", 9999)].into());
    // And the expired key, again.
    advance(40 * SECOND).await;
    test.store.replies([value(8)]);
    let waiting: Vec<Waiting> = (0..10_000).map(|_| test.ask(1).waits()).collect();
    for call in &waiting {
        assert_eq!(
            call.outcome().await.expect("an answer").value,
            Value::I64(8)
        );
    }
    assert_eq!(test.store.asked(), 2);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_question_outlives_the_call_that_asked_it() {
    let test = Test::new("coalesce = true");
    test.store.replies([Reply::Value(Value::I64(7), 200 * MS)]);
    let first = test.ask_within(&Value::I64(1), 50 * MS).waits();
    let second = test.ask(1).waits();
    settle().await;
    advance(20 * MS).await;
    // The first one's call ends: its slots go with it.
    drop(first);
    let answer = second.outcome().await.expect("an answer");
    assert_eq!(
        (answer.value, answer.source),
        (Value::I64(7), Source::Coalesced)
    );
    assert_eq!((test.store.asked(), test.store.cancelled.get()), (1, 0));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_time_of_the_first_call_is_not_that_of_a_later_one() {
    let test = Test::new("coalesce = true");
    let begun = Instant::now();
    // No view has more than a second. The store hangs, and then it answers.
    test.store.replies([Reply::Hangs, value(7)]);
    let first = test.ask(1).waits();
    settle().await;
    advance(900 * MS).await;
    let second = test.ask(1).waits();
    let answer = second.outcome().await.expect("an answer");
    assert_eq!(answer.value, Value::I64(7));
    assert!(begun.elapsed() >= SECOND);
    assert_eq!(test.store.asked(), 2, "it was asked again");
    drop(first);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_question_for_which_nobody_waits_is_cancelled() {
    let test = Test::new("coalesce = true");
    let waiting = [test.ask(1).waits(), test.ask(1).waits()];
    settle().await;
    assert_eq!((test.store.asked(), test.store.cancelled.get()), (1, 0));
    drop(waiting);
    advance(60 * MS).await;
    settle().await;
    assert_eq!(test.store.cancelled.get(), 1);
    // The next one asks for itself.
    test.store.replies([value(7)]);
    assert_eq!(test.get(1).await, (Value::I64(7), Source::Backend));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_call_whose_time_passes_while_the_question_goes_on_ends_by_itself() {
    let test = Test::new("coalesce = true");
    // The question looks every 50 ms whether it is wanted: here when the call has no time left, but has not ended either.
    let call = test.ask_within(&Value::I64(1), 149 * MS).waits();
    settle().await;
    for _ in 0..160 {
        advance(MS).await;
        settle().await;
    }
    let outcome = call.now();
    assert!(outcome.is_none(), "no failure of the server: {outcome:?}");
    assert_eq!(test.store.cancelled.get(), 0);
    assert!(test.late(1).is_none());
    assert!(!call.slots.is_queued(call.slot), "the store had it");
    drop(call);
    advance(60 * MS).await;
    settle().await;
    assert_eq!(test.store.cancelled.get(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_fresh_question_joins_only_one_that_was_not_sent() {
    let test = Test::new("coalesce = 'fresh'");
    test.store.holds.set(true);
    test.store.replies([Reply::Value(Value::I64(1), 10 * MS)]);
    let unsent = [test.ask(1).waits(), test.ask(1).waits()];
    settle().await;
    let also_unsent = test.ask(1).waits();
    assert_eq!(test.store.asked(), 1);
    test.store.holds.set(false);
    test.store
        .replies([Reply::Value(Value::I64(2), 10 * MS), value(3)]);
    let other = test.ask(2).waits();
    settle().await;
    let again = test.ask(2).waits();
    settle().await;
    assert_eq!(test.store.asked(), 3, "the second one was sent");
    for (call, expected) in unsent.iter().chain([&also_unsent]).zip([1, 1, 1]) {
        let answer = call.outcome().await.expect("an answer");
        assert_eq!(answer.value, Value::I64(expected));
    }
    assert_eq!(
        other.outcome().await.expect("an answer").value,
        Value::I64(2)
    );
    assert_eq!(
        again.outcome().await.expect("an answer").value,
        Value::I64(3)
    );
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_error_of_the_store_is_that_of_all_that_wait_and_is_not_kept() {
    let test = Test::new("cache = { ttl = '30s' }");
    test.store
        .replies([Reply::Fails(Code::LookupRefused), value(7)]);
    let waiting = [test.ask(1).waits(), test.ask(1).waits()];
    for call in &waiting {
        let err = call.outcome().await.expect_err("it is refused");
        assert_eq!(err.code, Code::LookupRefused);
    }
    assert_eq!(test.get(1).await, (Value::I64(7), Source::Backend));
    assert_eq!(test.get(1).await, (Value::I64(7), Source::Cache));
    assert_eq!(test.store.asked(), 2);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn keys_of_different_types_have_different_answers() {
    let test = Test::new("cache = { ttl = '30s' }");
    let keys = [
        Value::I64(1),
        Value::from("1"),
        Value::Double(1.0),
        Value::Double(f64::NAN),
        Value::Double(0.0),
        Value::Double(-0.0),
        Value::Null,
    ];
    for (number, key) in (1..).zip(&keys) {
        test.store.replies([value(number)]);
        let asked = test.ask_within(key, SECOND).waits();
        asked.outcome().await.expect("an answer");
    }
    for (number, key) in (1..).zip(&keys) {
        let Got::Answer(answer) = test.ask_within(key, SECOND) else {
            panic!("{key:?} is not kept");
        };
        assert_eq!(answer.value, Value::I64(number), "{key:?}");
    }
    assert_eq!(test.store.asked(), keys.len());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_panic_of_the_asking_side_fails_those_that_wait() {
    struct Panics;
    impl Inside for Panics {
        fn ask(
            self: Rc<Self>,
            _: Detached,
        ) -> LocalBoxFuture<'static, Result<Answer, LookupError>> {
            Box::pin(async { panic!("over a question") })
        }
        fn log(&self, _: LookupId, _: &LookupError) {}
    }
    let program = program("coalesce = true");
    let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
    let cache = Cache::new(&program, &Random::seeded(7), &metrics);
    let inside: Rc<dyn Inside> = Rc::new(Panics);
    let memory = StoreMemory::default();
    cache.ask_through(Rc::downgrade(&inside), &memory);
    let test = Test {
        cache,
        store: Rc::default(),
        memory,
    };
    for _ in 0..2 {
        let err = test.call(1).await.expect_err("it panics");
        assert_eq!(err.code, Code::ServerInternal);
    }
}
