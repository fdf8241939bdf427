//! The thread's part, run without a thread.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::*;
use crate::backend::rows::Rows;
use crate::backend::sqlite::tests::{Folder, config};
use crate::value::Value;

fn job(sql: &str) -> (Job, Arc<()>, oneshot::Receiver<Result<Answer, LookupError>>) {
    let asker = Arc::new(());
    let (answer, receiver) = oneshot::channel();
    let job = Job {
        statement: 0,
        sql: sql.into(),
        rows: Rows::Value,
        params: Vec::new(),
        deadline: Instant::now() + Duration::from_mins(1),
        asker: Arc::downgrade(&asker),
        answer,
    };
    (job, asker, receiver)
}

fn number(store: &mut Store) -> Value {
    let (job, _asker, _) = job("select n from t");
    store.run(&job).expect("an answer").value
}

#[test]
fn a_replaced_file_is_noticed_at_the_next_check() {
    let folder = Folder::new();
    folder.database("a.db", "create table t(n); insert into t values (1)");
    folder.database("b.db", "create table t(n); insert into t values (2)");
    let mut store = Store::new(&config(&folder, "a.db"));
    assert_eq!(number(&mut store), Value::I64(1));
    folder.rename("b.db", "a.db");
    let checked = store.open.as_ref().unwrap().checked;
    let soon = checked + FILE_CHECK_EVERY / 2;
    store.open = Some(store.take_open(soon).unwrap());
    assert_eq!(
        store.open.as_ref().unwrap().checked,
        checked,
        "not looked at"
    );
    store.open = Some(store.take_open(checked + FILE_CHECK_EVERY).unwrap());
    assert_eq!(number(&mut store), Value::I64(2));
}

#[test]
fn a_file_that_vanished_is_given_up() {
    let folder = Folder::new();
    folder.database("a.db", "create table t(n)");
    let mut store = Store::new(&config(&folder, "a.db"));
    let opened = store.take_open(Instant::now()).unwrap();
    let later = opened.checked + FILE_CHECK_EVERY;
    store.open = Some(opened);
    folder.remove("a.db");
    assert!(store.take_open(later).is_err());
    assert!(store.open.is_none());
}

#[test]
fn a_dropped_lookup_is_not_started() {
    let folder = Folder::new();
    folder.database("a.db", "create table t(n); insert into t values (1)");
    let queue = JobQueue::new(10);
    let (left, asker, mut left_answer) = job("select n from t");
    drop(asker);
    let (stayed, _asker, stayed_answer) = job("select n from t");
    queue.push(left).unwrap();
    queue.push(stayed).unwrap();
    std::thread::scope(|scope| {
        let store = Store::new(&config(&folder, "a.db"));
        scope.spawn(|| store.serve(&queue));
        let answer = stayed_answer.blocking_recv().expect("an answer");
        assert_eq!(answer.unwrap().value, Value::I64(1));
        assert!(left_answer.try_recv().is_err(), "no answer was made");
        queue.close();
    });
}

#[test]
fn a_lookup_past_its_deadline_is_not_started() {
    let folder = Folder::new();
    let mut store = Store::new(&config(&folder, "missing.db"));
    let (mut late, _asker, _) = job("select 1");
    late.deadline = Instant::now();
    assert_eq!(store.run(&late).unwrap_err().code, Code::LookupTimeoutPool);
}
