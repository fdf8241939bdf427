//! Abandoned statements are stopped in the server, and nothing else is.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;
use tributary::backend::{Backend as _, Cancelled};
use tributary::value::Value;

use super::watcher::Watcher;
use super::{Lookup, Store};
use crate::support::Postgres;

const SLEEP: &str = "select pg_sleep(:s::float8)::text as slept";
const ECHO: &str = "select :n::int8 as n";
const VALUE: &str = "rows = \"value\"";

async fn store(server: &Postgres, watcher: &Watcher, keys: &str) -> Store {
    let url = format!("{}?application_name={}", server.url(), watcher.name);
    let keys = format!("statement_timeout = \"10m\"\n{keys}");
    Store::new(&url, &keys).await
}

fn cancels(store: &Store, what: Cancelled) -> u64 {
    let cancels = store.backend.cancels().expect("it makes requests");
    cancels.counts()[what as usize].load(Ordering::Relaxed)
}

async fn echo(store: &Store, lookup: &Lookup, number: i64) {
    let answer = store.ask(lookup, &[Value::I64(number)]).await;
    assert_eq!(answer.expect("an answer"), Value::I64(number));
}

#[tokio::test(flavor = "local")]
async fn a_statement_that_nobody_waits_for_is_stopped() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-one").await;
    let store = store(&server, &watcher, "connections = 1").await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    for round in 1..=3 {
        let seconds = [Value::Double(300.0)];
        tokio::select! {
            answer = store.ask(&slow, &seconds) => panic!("{answer:?}"),
            () = watcher.until(1) => {}
        }
        watcher.until(0).await;
        // It waits until the request has been handled, which is later than the statement's end.
        echo(&store, &quick, 2).await;
        assert_eq!(cancels(&store, Cancelled::Sent), round);
    }
    assert_eq!(cancels(&store, Cancelled::Failed), 0);
}

#[tokio::test(flavor = "local")]
async fn what_was_sent_behind_a_stopped_statement_gets_its_answer() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-behind").await;
    let store = store(&server, &watcher, "connections = 1").await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    let slowly = async {
        let seconds = [Value::Double(300.0)];
        tokio::select! {
            answer = store.ask(&slow, &seconds) => panic!("{answer:?}"),
            () = watcher.until(1) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let behind = async {
        watcher.until(1).await;
        join_all((0..20).map(|n| echo(&store, &quick, n))).await;
    };
    tokio::join!(slowly, behind);
}

/// A batch looks for its statement first, which is prepared already: that says nothing about what runs.
#[tokio::test(flavor = "local")]
async fn batches_do_not_hide_what_is_to_be_stopped() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-batch").await;
    let store = store(&server, &watcher, "connections = 1").await;
    let slow = store.lookup(SLEEP, VALUE);
    let batch = "select n from unnest(:ns::int8[]) as n";
    let batch = store.lookup(batch, "rows = \"one\"\nbatch = { key = \"n\" }");
    let ask = async || {
        let answers = store.ask_many(&batch, &[Value::I64(7)]);
        let answers = timeout(Duration::from_mins(1), answers).await;
        let answers = answers.expect("no slow statement is before it");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    };
    ask().await;
    tokio::select! {
        answer = store.ask(&slow, &[Value::Double(300.0)]) => panic!("{answer:?}"),
        () = watcher.until(1) => {}
    }
    ask().await;
    // The answer may come before the server has closed the request's connection.
    while cancels(&store, Cancelled::Sent) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The answers of statements that were stopped are dropped. The session is none the worse.
#[tokio::test(flavor = "local")]
async fn a_session_whose_statements_were_stopped_is_kept() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-kept").await;
    let url = format!("{}?application_name={}", server.url(), watcher.name);
    let store = Store::new(&url, "connections = 1\nstatement_timeout = \"500ms\"").await;
    let slow = store.lookup(SLEEP, VALUE);
    let pid = store.lookup("select pg_backend_pid()", VALUE);
    let pid = async || store.ask(&pid, &[]).await.expect("an answer");
    let before = pid().await;
    for _ in 0..4 {
        tokio::select! {
            answer = store.ask(&slow, &[Value::Double(300.0)]) => panic!("{answer:?}"),
            () = watcher.until(1) => {}
        }
        watcher.until(0).await;
        // Together, longer than a server may be silent.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(pid().await, before);
}

/// The slow statements end when they are about to be stopped, so that requests come too late.
#[tokio::test(flavor = "local")]
async fn a_request_that_comes_late_costs_nobody_an_answer() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-late").await;
    let store = store(&server, &watcher, "connections = 2").await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    for round in 0..80 {
        let seconds = [Value::Double(0.012)];
        let given_up = async {
            let millis = Duration::from_micros(500 * (round % 8));
            assert!(timeout(millis, store.ask(&slow, &seconds)).await.is_err());
        };
        let beside = join_all((0..5).map(async |n| {
            tokio::time::sleep(Duration::from_millis(3 * n)).await;
            for again in 0..20 {
                echo(
                    &store,
                    &quick,
                    1000 * again + i64::try_from(n).expect("small"),
                )
                .await;
            }
        }));
        tokio::join!(given_up, beside);
    }
}

#[tokio::test(flavor = "local")]
async fn nothing_is_stopped_if_that_is_not_wanted() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-never").await;
    let store = store(&server, &watcher, "connections = 1\ncancel = false").await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    let seconds = [Value::Double(0.3)];
    tokio::select! {
        answer = store.ask(&slow, &seconds) => panic!("{answer:?}"),
        () = watcher.until(1) => {}
    }
    echo(&store, &quick, 2).await;
    assert_eq!(cancels(&store, Cancelled::Sent), 0);
    assert_eq!(cancels(&store, Cancelled::Failed), 0);
}

/// Abandoned batches stay known while the server works on them, so that quick ones find the other
/// connection.
#[tokio::test(flavor = "local")]
async fn abandoned_batches_hold_up_nothing_else() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-batches").await;
    let store = store(&server, &watcher, "connections = 2\ncancel = false").await;
    let slow = "select s, pg_sleep(s)::text as slept from unnest(:s::int8[]) as s";
    let slow = store.lookup(slow, "batch = { key = \"s\" }");
    let quick = "select n, n as echo from unnest(:n::int8[]) as n";
    let quick = store.lookup(quick, "batch = { key = \"n\" }");
    let pid = store.lookup("select pg_backend_pid()", VALUE);
    let pid = async || store.ask(&pid, &[]).await.expect("an answer");
    loop {
        // Both connections have to be up before one of them has a slow statement.
        let (first, second) = (pid().await, pid().await);
        if first != second {
            break;
        }
    }
    let seconds = [Value::I64(60)];
    tokio::select! {
        _answers = store.ask_many(&slow, &seconds) => panic!("it sleeps"),
        () = watcher.until(1) => {}
    }
    for number in 0..8 {
        assert!(store.ask_many(&slow, &seconds).now_or_never().is_none());
        let numbers = [Value::I64(number)];
        let answers = timeout(Duration::from_secs(20), store.ask_many(&quick, &numbers));
        let answers = answers.await.expect("the other connection is free");
        assert!(answers[0].is_ok(), "{answers:?}");
    }
}

/// Passes connections on to the server. Returns its port, and the tasks of the connections.
async fn relay(server: &Postgres) -> (u16, Rc<RefCell<Vec<JoinHandle<()>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let connections = Rc::new(RefCell::new(Vec::new()));
    let (all, to) = (Rc::clone(&connections), server.port);
    drop(spawn_local(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            all.borrow_mut().push(spawn_local(async move {
                let mut far = TcpStream::connect(("127.0.0.1", to))
                    .await
                    .expect("it runs");
                drop(copy_bidirectional(&mut near, &mut far).await);
            }));
        }
    }));
    (port, connections)
}

/// The server does not notice that a client is gone while a statement runs.
#[tokio::test(flavor = "local")]
async fn what_runs_on_a_connection_that_breaks_is_stopped() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "cancel-lost").await;
    let (port, connections) = relay(&server).await;
    let url = server
        .url()
        .replace(&server.port.to_string(), &port.to_string());
    let url = format!("{url}?application_name={}", watcher.name);
    let keys = "connections = 1\nstatement_timeout = \"10m\"";
    let store = Store::new(&url, keys).await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    let pids = async || {
        let sql = "select pid from pg_stat_activity where application_name = $1 and wait_event = 'PgSleep'";
        let rows = watcher.client.query(sql, &[&watcher.name]).await;
        let rows = rows.expect("it runs");
        rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>()
    };
    let breaks = async {
        watcher.until(1).await;
        let before = pids().await;
        connections.take().iter().for_each(JoinHandle::abort);
        // The statement is asked again, in another session.
        let is_over = async {
            while pids().await.iter().any(|pid| before.contains(pid)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let over = timeout(Duration::from_mins(1), is_over).await;
        over.expect("it is stopped only here");
    };
    tokio::select! {
        answer = store.ask(&slow, &[Value::Double(300.0)]) => panic!("{answer:?}"),
        () = breaks => {}
    }
    assert_eq!(cancels(&store, Cancelled::Failed), 0);
}
