//! Lost connections, statements and servers, and abandoned lookups.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

use futures_util::future::join_all;
use tributary::error::Code;
use tributary::value::Value;

use super::{Lookup, Store, run};
use crate::support::Postgres;

const ECHO: &str = "select :n::int8 as n";

fn echo(store: &Store) -> Lookup {
    store.lookup(ECHO, "rows = \"value\"")
}

#[tokio::test(flavor = "local")]
async fn every_lookup_gets_its_own_answer_when_half_are_dropped() {
    let server = Postgres::shared();
    let store = Store::new(&server.url(), "connections = 3").await;
    let lookup = echo(&store);
    let mut answered = 0;
    for round in 0..20 {
        let numbers = (0..200)
            .map(|n| Value::I64(round * 1000 + n))
            .collect::<Vec<_>>();
        let asks = numbers.iter().enumerate().map(async |(at, number)| {
            let ask = async { store.ask(&lookup, std::slice::from_ref(number)).await };
            let mut ask = pin!(ask);
            if at % 2 == 1 {
                // The lookup is sent and then abandoned; some are polled until they have an answer.
                for _ in 0..at % 7 {
                    let mut cx = Context::from_waker(Waker::noop());
                    if ask.as_mut().poll(&mut cx).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                return 0;
            }
            assert_eq!(ask.await.expect("an answer"), *number);
            1
        });
        answered += join_all(asks).await.into_iter().sum::<i32>();
    }
    assert_eq!(answered, 2000);
}

#[tokio::test(flavor = "local")]
async fn a_killed_connection_costs_no_lookup() {
    let server = Postgres::shared();
    let url = server.url();
    let named = format!("{url}?application_name=killed");
    let store = Store::new(&named, "connections = 2").await;
    let lookup = echo(&store);
    for n in 0..2 {
        assert_eq!(
            store.ask(&lookup, &[Value::I64(n)]).await.expect("up"),
            Value::I64(n)
        );
        run(
            &url,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'killed'",
        )
        .await;
    }
}

#[tokio::test(flavor = "local")]
async fn a_statement_is_prepared_again_when_its_table_changes() {
    let server = Postgres::shared();
    let url = server.url();
    run(
        &url,
        "create table shifting (n int4); insert into shifting values (7)",
    )
    .await;
    let store = Store::new(&url, "connections = 1").await;
    let lookup = store.lookup("select * from shifting where n = :n", "rows = \"one\"");
    let ask = async || store.ask(&lookup, &[Value::I64(7)]).await.expect("a row");
    assert_eq!(ask().await.get("n"), Some(&Value::I64(7)));
    run(
        &url,
        "alter table shifting add column more text default 'x'",
    )
    .await;
    assert_eq!(ask().await.get("more"), Some(&Value::from("x")));
    run(&url, "alter table shifting alter column n type text").await;
    assert_eq!(ask().await.get("n"), Some(&Value::from("7")));
    run(&url, "drop table shifting").await;
    assert_eq!(
        store.code(&lookup, &[Value::I64(7)]).await,
        Code::LookupRefused
    );
    run(
        &url,
        "create table shifting (n int4); insert into shifting values (7)",
    )
    .await;
    assert_eq!(ask().await.get("n"), Some(&Value::I64(7)));
}

/// A parameter keeps the statement's columns, so that the server does not see that the statement is stale.
#[tokio::test(flavor = "local")]
async fn a_statement_is_prepared_again_when_its_types_are_dropped_and_created_again() {
    let server = Postgres::shared();
    let url = server.url();
    let types = "create type feeling as enum ('sad', 'glad'); create domain mark as int4; \
                 create type range_of as (low int4, high int4);";
    run(&url, types).await;
    let store = Store::new(&url, "connections = 1").await;
    let value = "rows = \"value\"";
    let lookups = [
        ("select (:mood::feeling)::text as mood", Value::from("sad")),
        ("select :mood::feeling as mood", Value::from("glad")),
        (
            "select (:moods::feeling[])::text[] as moods",
            vec!["sad"].into(),
        ),
        ("select :moods::feeling[] as moods", vec!["glad"].into()),
        ("select (:grade::mark)::int4 as grade", Value::I64(3)),
        (
            "select (:span::range_of)::text as span",
            Value::from("(1,2)"),
        ),
    ];
    let lookups = lookups.map(|(sql, param)| (store.lookup(sql, value), param));
    let keys = "rows = \"one\"\nbatch = { key = \"mood\" }";
    let batch = "select unnest(:moods::feeling[]) as mood";
    let batch = store.lookup(batch, keys);
    let mood = Value::from("sad");
    for round in 0..3 {
        for (lookup, param) in &lookups {
            let answer = store.ask(lookup, std::slice::from_ref(param)).await;
            assert_eq!(&answer.expect("an answer"), param, "round {round}");
        }
        let answer = store.ask(&batch, std::slice::from_ref(&mood)).await;
        assert_eq!(answer.expect("a row").get("mood"), Some(&mood));
        run(
            &url,
            "drop type feeling; drop domain mark; drop type range_of",
        )
        .await;
        run(&url, types).await;
    }
}

#[tokio::test(flavor = "local")]
async fn several_hosts_and_a_wrong_database() {
    let server = Postgres::shared();
    let dead = crate::support::free_port();
    let hosts = format!(
        "postgresql://postgres@127.0.0.1:{dead},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        server.port
    );
    let store = Store::new(&hosts, "").await;
    let answer = store.ask(&echo(&store), &[Value::I64(1)]).await;
    assert_eq!(answer.expect("the second host"), Value::I64(1));
    let nowhere = server
        .url()
        .replace("/postgres", "/nowhere")
        .replace("//postgres", "//nobody");
    let store = Store::new(&nowhere, "").await;
    let err = store.ask(&echo(&store), &[Value::I64(1)]).await;
    let err = err.expect_err("no such user");
    assert_eq!(err.code, Code::LookupUnavailable);
    assert!(
        err.detail.contains("does not exist"),
        "the server's words: {err}"
    );
}

#[tokio::test(flavor = "local")]
async fn old_connections_are_replaced_and_no_lookup_notices() {
    let server = Postgres::shared();
    let store = Store::new(&server.url(), "connection_age_max = '1ms'").await;
    let lookup = store.lookup(
        "select pg_backend_pid() + :n::int4 as pid",
        "rows = \"value\"",
    );
    let mut seen = Vec::new();
    while seen.len() < 10 {
        let params = [Value::I64(0)];
        let asks = (0..8).map(|_| store.ask(&lookup, &params));
        for answer in join_all(asks).await {
            let pid = answer.expect("an answer");
            if !seen.contains(&pid) {
                seen.push(pid);
            }
        }
    }
}
