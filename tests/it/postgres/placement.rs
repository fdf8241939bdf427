//! Which connection a statement takes: never one that runs something slow.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::timeout;
use tributary::backend::Backend as _;
use tributary::value::Value;

use super::watcher::Watcher;
use super::{Lookup, Store, run};
use crate::support::Postgres;

const SLEEP: &str = "select pg_sleep(:s::float8)::text as slept";
const ECHO: &str = "select :n::int8 as n";
const VALUE: &str = "rows = \"value\"";
/// Longer than any test.
const FOREVER: [Value; 1] = [Value::Double(300.0)];

async fn store(server: &Postgres, user: &str, name: &str, keys: &str) -> Store {
    let url = server.url().replace("//postgres@", &format!("//{user}@"));
    assert!(url.contains(user), "{url}");
    let url = format!("{url}?application_name={name}");
    let keys = format!("statement_timeout = \"10m\"\n{keys}");
    Store::new(&url, &keys).await
}

async fn echo(store: &Store, lookup: &Lookup, number: i64) {
    let answer = store.ask(lookup, &[Value::I64(number)]).await;
    assert_eq!(answer.expect("an answer"), Value::I64(number));
}

/// Makes a lookup known as quick, even if the machine is busy for a moment. Connections take turns, so that it is prepared on
/// all of them.
async fn known(store: &Store, lookup: &Lookup) {
    for number in 0..20 {
        echo(store, lookup, number).await;
    }
}

/// Ends when the answers are there, although what `beside` asks first never gets any.
async fn beside<T>(beside: impl Future<Output = T>, answers: impl Future<Output = ()>) {
    let answers = timeout(Duration::from_mins(1), answers);
    tokio::select! {
        biased;
        _ = beside => panic!("it has no end"),
        answered = answers => answered.expect("nothing slow is before them"),
    }
}

#[tokio::test(flavor = "local")]
async fn a_connection_that_comes_up_takes_what_a_slow_statement_keeps_from_the_first() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "place-second").await;
    let role =
        "drop role if exists place_second; create role place_second login connection limit 1";
    run(&server.url(), role).await;
    let store = store(&server, "place_second", watcher.name, "connections = 2").await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    // Of two connections that come at the same moment, PostgreSQL may refuse both.
    while store.ask(&quick, &[Value::I64(1)]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let url = server.url();
    let answers = async {
        watcher.until(1).await;
        let echoes = join_all((0..20).map(|n| echo(&store, &quick, n)));
        let limit = "alter role place_second connection limit -1";
        tokio::join!(echoes, run(&url, limit));
    };
    beside(store.ask(&slow, &FOREVER), answers).await;
}

/// A quick statement hangs on one connection and a slow one runs on the other: whatever comes next goes to the one that is
/// free first.
#[tokio::test(flavor = "local")]
async fn what_no_connection_may_take_goes_to_the_first_that_is_free() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "place-first").await;
    let store = store(&server, "postgres", watcher.name, "connections = 2").await;
    let locked = "select pg_advisory_xact_lock_shared(:n::int8)::text as locked";
    let [locked, slow, quick] = [locked, SLEEP, ECHO].map(|sql| store.lookup(sql, VALUE));
    let pid = store.lookup("select pg_backend_pid()", VALUE);
    let pid = async || store.ask(&pid, &[]).await.expect("an answer");
    loop {
        let (first, second) = (pid().await, pid().await);
        if first != second {
            break;
        }
    }
    let number = Value::I64(771_201);
    let lock = async |what: &str| {
        let sql = format!("select pg_advisory_{what}(771201)");
        watcher.client.batch_execute(&sql).await.expect("good SQL");
    };
    let hangs = async || store.ask(&locked, std::slice::from_ref(&number)).await;
    hangs().await.expect("it is not locked");
    known(&store, &quick).await;
    lock("lock").await;
    let waits = async {
        let sql = "select count(*) from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'";
        while watcher
            .client
            .query_one(sql, &[&watcher.name])
            .await
            .expect("rows")
            .get::<_, i64>(0)
            == 0
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let slowly = async {
        waits.await;
        store.ask(&slow, &FOREVER).await
    };
    let answers = async {
        watcher.until(1).await;
        let unlock = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            lock("unlock").await;
        };
        let echoes = join_all((0..20).map(|n| echo(&store, &quick, n)));
        tokio::join!(echoes, unlock);
    };
    let hanging = async {
        hangs().await.expect("it is unlocked");
        std::future::pending::<()>().await;
    };
    let hung = async { tokio::join!(slowly, hanging) };
    Box::pin(beside(hung, answers)).await;
}

/// Statements that can't be stopped are waited for: the connection takes nothing until they have ended, and then it does.
#[tokio::test(flavor = "local")]
async fn a_connection_is_used_again_when_what_nobody_waits_for_has_ended() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "place-ended").await;
    let keys = "connections = 1\ncancel = false";
    let store = store(&server, "postgres", watcher.name, keys).await;
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    for _ in 0..2 {
        let seconds = [Value::Double(0.3)];
        tokio::select! {
            answer = store.ask(&slow, &seconds) => panic!("{answer:?}"),
            () = watcher.until(1) => {}
        }
        let answers = join_all((0..20).map(|n| echo(&store, &quick, n)));
        timeout(Duration::from_mins(1), answers)
            .await
            .expect("it has ended");
        assert_eq!(watcher.running().await, 0);
    }
}

/// A store with two connections, both up. It has a lookup that sleeps or fails, and several quick ones, since a single one
/// never takes both connections.
async fn two(server: &Postgres, name: &str) -> (Store, Lookup, Vec<Lookup>) {
    let keys = "connections = 2\ncancel = false";
    let store = store(server, "postgres", name, keys).await;
    let slow = "select (1 / :divisor::int8)::text as failed, pg_sleep(:s::float8)::text as slept";
    let slow = store.lookup(slow, "");
    let pid = store.lookup("select pg_backend_pid()", VALUE);
    let pid = async || store.ask(&pid, &[]).await.expect("an answer");
    while pid().await == pid().await {}
    let quick: Vec<_> = (0..8).map(|_| store.lookup(ECHO, VALUE)).collect();
    for quick in &quick {
        known(&store, quick).await;
    }
    (store, slow, quick)
}

async fn echo_all(store: &Store, quick: &[Lookup]) {
    join_all(quick.iter().map(|quick| echo(store, quick, 7))).await;
}

/// One that fails, or is stopped, would have taken longer.
#[tokio::test(flavor = "local")]
async fn a_slow_lookup_whose_statements_fail_early_stays_slow() {
    let server = Postgres::shared();
    let (store, slow, quick) = two(&server, "place-fails").await;
    let sleeps = |divisor, seconds| [Value::I64(divisor), Value::Double(seconds)];
    let slept = store.ask(&slow, &sleeps(1, 0.5)).await;
    slept.expect("an answer");
    for _ in 0..40 {
        let failed = store.ask(&slow, &sleeps(0, 0.0)).await;
        failed.expect_err("it divides by zero");
    }
    let forever = sleeps(1, 300.0);
    beside(store.ask(&slow, &forever), echo_all(&store, &quick)).await;
}

#[tokio::test(flavor = "local")]
async fn nothing_is_sent_behind_what_nobody_waits_for() {
    let server = Postgres::shared();
    let (store, slow, quick) = two(&server, "place-vain").await;
    let quickly = [Value::I64(1), Value::Double(0.0)];
    for _ in 0..2 {
        store.ask(&slow, &quickly).await.expect("an answer");
    }
    let forever = [Value::I64(1), Value::Double(300.0)];
    assert!(store.ask(&slow, &forever).now_or_never().is_none());
    let answers = timeout(Duration::from_mins(1), echo_all(&store, &quick));
    answers.await.expect("the other connection is free");
}

/// Of the store's sessions.
async fn end_all(watcher: &Watcher) {
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
    let ended = watcher.client.query(sql, &[&watcher.name]).await;
    ended.expect("it runs");
}

/// On a new session, the statement of a quick lookup is not prepared yet, and takes several questions because of its type.
/// Meanwhile nothing slow is sent that would run first.
#[tokio::test(flavor = "local")]
async fn nothing_slow_is_sent_while_a_quick_statement_is_prepared() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "place-prepares").await;
    let mood = "drop type if exists place_mood; create type place_mood as enum ('well', 'ill')";
    run(&server.url(), mood).await;
    let store = store(&server, "postgres", watcher.name, "connections = 1").await;
    let slow = store.lookup(SLEEP, VALUE);
    let quick = store.lookup("select cast(:mood as place_mood)::text", VALUE);
    let well = [Value::from("well")];
    let sleep = async |seconds| store.ask(&slow, &[Value::Double(seconds)]).await;
    for _ in 0..20 {
        let answer = store.ask(&quick, &well).await;
        assert_eq!(answer.expect("an answer"), Value::from("well"));
    }
    sleep(0.3).await.expect("an answer");
    end_all(&watcher).await;
    // The slow one is prepared on the next session, and is known to be slow nevertheless.
    while sleep(0.0).await.is_err() {}
    let answers = async {
        let answer = store.ask(&quick, &well).await;
        assert_eq!(answer.expect("an answer"), Value::from("well"));
    };
    let answers = timeout(Duration::from_mins(1), answers);
    tokio::select! {
        biased;
        answered = answers => answered.expect("nothing slow is before it"),
        _ = store.ask(&slow, &FOREVER) => panic!("it has no end"),
    }
}

/// How many sessions the store has.
async fn sessions(watcher: &Watcher) -> i64 {
    let sql = "select count(*) from pg_stat_activity where application_name = $1";
    let row = watcher.client.query_one(sql, &[&watcher.name]).await;
    row.expect("it runs").get(0)
}

#[tokio::test(flavor = "local")]
async fn connections_are_opened_while_statements_wait_and_closed_afterwards() {
    let server = Postgres::shared();
    let watcher = Watcher::new(&server, "place-grow").await;
    let keys = "connections = 3\nconnections_min = 1\nconnection_idle_max = \"50ms\"";
    let store = store(&server, "postgres", watcher.name, keys).await;
    let open = || {
        let open = store.backend.open_connections().expect("it counts them");
        open.counts()[0].load(Ordering::Relaxed)
    };
    let (slow, quick) = (store.lookup(SLEEP, VALUE), store.lookup(ECHO, VALUE));
    echo(&store, &quick, 1).await;
    assert_eq!((sessions(&watcher).await, open()), (1, 1));
    let slowly = join_all([(); 9].map(|()| store.ask(&slow, &FOREVER)));
    let answers = async {
        // Those that wait have a connection opened, and the last one is for quick statements.
        watcher.until(2).await;
        join_all((0..20).map(|n| echo(&store, &quick, n))).await;
        assert_eq!((sessions(&watcher).await, open()), (3, 3));
    };
    beside(slowly, answers).await;
    watcher.until(0).await;
    while sessions(&watcher).await > 1 {
        echo(&store, &quick, 1).await;
    }
    assert_eq!(open(), 1);
    // Those that are closed can be opened again.
    beside(store.ask(&slow, &FOREVER), async {
        watcher.until(1).await;
        echo(&store, &quick, 1).await;
    })
    .await;
}
