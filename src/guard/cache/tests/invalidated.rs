//! Answers of a store that says when they are no longer right, in whatever order the news and the answers come.

use super::*;
use crate::backend::Changes;

const KEYS: &str = "cache = { ttl = '1h', negative_ttl = '1h', invalidate = true }";

/// A cache, and what its store says.
fn heard(keys: &str) -> (Test, Rc<Changes>) {
    let test = Test::new(keys);
    let changes = Changes::new(&Arc::from("store"), 1);
    test.cache.hear(|_| Some(&changes));
    (test, changes)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_answer_is_served_until_its_key_changes() {
    let (test, changes) = heard(KEYS);
    let _hearing = changes.hear();
    test.store.replies([value(1), value(2), value(3)]);
    assert_eq!(test.get(1).await, (Value::I64(1), Source::Backend));
    assert_eq!(test.get(2).await, (Value::I64(2), Source::Backend));
    changes.changed(b"7");
    assert_eq!(test.get(1).await, (Value::I64(1), Source::Cache));
    changes.changed(b"1");
    assert_eq!(test.get(1).await, (Value::I64(3), Source::Backend));
    assert_eq!(test.get(1).await, (Value::I64(3), Source::Cache));
    assert_eq!(test.get(2).await, (Value::I64(2), Source::Cache));
    changes.all_changed();
    test.store.replies([value(4), value(5)]);
    assert_eq!(test.get(1).await, (Value::I64(4), Source::Backend));
    assert_eq!(test.get(2).await, (Value::I64(5), Source::Backend));
    // That there is nothing is no longer right either.
    test.store
        .replies([Reply::Value(Value::Null, Duration::ZERO), value(6)]);
    assert_eq!(test.get(3).await, (Value::Null, Source::Backend));
    assert_eq!(test.get(3).await, (Value::Null, Source::Cache));
    changes.changed(b"3");
    assert_eq!(test.get(3).await, (Value::I64(6), Source::Backend));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_answer_that_changes_on_its_way_is_not_kept_and_nobody_else_gets_it() {
    let (test, changes) = heard(KEYS);
    let _hearing = changes.hear();
    let later = |number: i64| Reply::Value(Value::I64(number), 100 * MS);
    test.store.replies([later(1), later(2)]);
    let first = test.ask(1).waits();
    let joined = test.ask(1).waits();
    settle().await;
    advance(50 * MS).await;
    // The store has read the old value, and says that it has changed before its answer is here.
    changes.changed(b"1");
    let second = test.ask(1).waits();
    settle().await;
    assert_eq!(test.store.asked(), 2, "whoever asks now gets the new value");
    for waiting in [&first, &joined] {
        let answer = waiting.outcome().await.expect("an answer");
        assert_eq!(answer.value, Value::I64(1), "they asked before it changed");
    }
    assert!(second.now().is_none());
    let third = test.ask(1).waits();
    for waiting in [&second, &third] {
        let answer = waiting.outcome().await.expect("an answer");
        assert_eq!(answer.value, Value::I64(2));
    }
    assert_eq!(test.store.asked(), 2);
    assert_eq!(test.get(1).await, (Value::I64(2), Source::Cache));

    // The same at the moment at which the answer is there and not yet kept.
    test.store.replies([later(3), later(4)]);
    changes.changed(b"1");
    let waiting = test.ask(1).waits();
    settle().await;
    advance(100 * MS).await;
    changes.changed(b"1");
    settle().await;
    let answer = waiting.now().expect("it is here").expect("an answer");
    assert_eq!(answer.value, Value::I64(3));
    assert_eq!(test.get(1).await, (Value::I64(4), Source::Backend));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_kept_while_nothing_is_heard() {
    let (test, changes) = heard(KEYS);
    test.store.replies((1..10).map(value));
    for number in 1..4 {
        assert_eq!(test.get(1).await, (Value::I64(number), Source::Backend));
    }
    let hearing = changes.hear();
    assert_eq!(test.get(1).await, (Value::I64(4), Source::Backend));
    assert_eq!(test.get(1).await, (Value::I64(4), Source::Cache));
    drop(hearing);
    assert_eq!(test.get(1).await, (Value::I64(5), Source::Backend));
    let _hearing = changes.hear();
    assert_eq!(test.get(1).await, (Value::I64(6), Source::Backend));
    assert_eq!(test.get(1).await, (Value::I64(6), Source::Cache));
    // Another connection knows nothing of what changed before.
    let others = Changes::new(&Arc::from("store"), 2);
    let _of_others = others.hear();
    test.cache.hear(|_| Some(&others));
    assert_eq!(test.get(1).await, (Value::I64(7), Source::Backend));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_is_no_longer_right_answers_only_if_the_store_fails() {
    let keys = "cache = { ttl = '10s', stale = '1h', stale_if_error = '1h', invalidate = true }";
    let (test, changes) = heard(keys);
    let hearing = changes.hear();
    test.store.replies([value(1), value(2)]);
    test.get(1).await;
    changes.changed(b"1");
    assert_eq!(
        test.get(1).await,
        (Value::I64(2), Source::Backend),
        "it is not even served while it is asked again"
    );
    drop(hearing);
    test.store.replies([Reply::Fails(Code::LookupUnavailable)]);
    assert_eq!(test.get(1).await, (Value::I64(2), Source::Stale));
    assert_eq!(*test.store.logged.borrow(), [Code::LookupUnavailable]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn other_lookups_do_not_listen() {
    let (test, changes) = heard("cache = { ttl = '1h' }");
    test.store.replies([value(1)]);
    test.get(1).await;
    changes.all_changed();
    assert_eq!(test.get(1).await, (Value::I64(1), Source::Cache));
}
