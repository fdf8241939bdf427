//! Servers that go and come back, connections that break, and lookups that are dropped.

use std::pin::pin;

use futures_util::future::{Either, join_all, select};
use tokio::time::Instant;

use super::*;
use crate::backend::AnyConfig;

const ONE: &str = "sql = 'select :n + 0'\nrows = 'value'";

/// Asks until the answer is `wanted`. Only a failure lasts half a minute.
async fn until(mysql: &Mysql, lookup: &Compiled<Lookup>, wanted: &Result<Value, Code>) {
    let since = Instant::now();
    while ask(mysql, lookup, &[("n", 1.into())]).await != *wanted {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "never {wanted:?}"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "local")]
async fn down_at_start_killed_and_back() {
    let server = Server::start();
    server.run(&[]).await;
    let config = format!("url = '{}'", server.url());
    let port = server.port;
    let folder = server.stop();
    let (mysql, [lookup]) = backend(&config, [ONE]).await;
    let (up, down) = (Ok(Value::I64(1)), Err(Code::LookupUnavailable));
    assert_eq!(ask(&mysql, &lookup, &[("n", 1.into())]).await, down);
    let mut folder = Some(folder);
    for _ in 0..2 {
        let data = folder.take().expect("given back");
        let Ok(server) = Server::start_on(port, data) else {
            panic!("starts again")
        };
        until(&mysql, &lookup, &up).await;
        folder = Some(server.stop());
        until(&mysql, &lookup, &down).await;
    }
}

#[tokio::test(flavor = "local")]
async fn an_account_that_cannot_log_in_is_an_outage_that_ends() {
    let server = Server::start();
    let ed25519 = "create user e@'%' identified via ed25519 using password('x')";
    server
        .run(&[
            "install soname 'auth_ed25519'",
            ed25519,
            "grant all on test.* to e@'%'",
        ])
        .await;
    let keys = format!("url = 'mysql://e:x@127.0.0.1:{}/test'", server.port);
    let config = testing::config::<Mysql>(&keys).expect("valid");
    let heard = AnyConfig::Mysql(config).examine(&[]).await;
    let why = heard.failures.first().expect("the client can't log in");
    assert!(why.detail.contains("`client_ed25519`"), "{why}");

    let (mysql, [lookup]) = backend(&keys, [ONE]).await;
    let down = Err(Code::LookupUnavailable);
    assert_eq!(ask(&mysql, &lookup, &[("n", 1.into())]).await, down);
    server
        .run(&["alter user e@'%' identified via mysql_native_password using password('x')"])
        .await;
    until(&mysql, &lookup, &Ok(Value::I64(1))).await;
}

#[tokio::test(flavor = "local")]
async fn killed_connections_go_unnoticed() {
    let server = Server::start();
    server.run(&[]).await;
    let (mysql, [lookup]) = backend(&format!("url = '{}'", server.url()), [ONE]).await;
    for round in 0..2 {
        let asks = (0..20).map(|n| {
            let (mysql, lookup) = (&mysql, &lookup);
            async move { ask(mysql, lookup, &[("n", n.into())]).await }
        });
        for (n, answer) in (0..).zip(join_all(asks).await) {
            assert_eq!(answer, Ok(Value::I64(n)), "round {round}");
        }
        assert!(server.kill_connections().await >= 4);
    }
}

#[tokio::test(flavor = "local")]
async fn dropped_lookups_never_mix_answers() {
    let server = Server::start();
    server.run(&[]).await;
    let batch = "sql = 'select n, n * 2 from (select seq n from seq_1_to_50) s where n in (:n)'\n\
                 batch = { key = 'n' }\nrows = 'one'";
    let config = format!("url = '{}'", server.url());
    let (mysql, [plain, batch]) = backend(&config, [ONE, batch]).await;
    let one = async |n: i64| {
        let (lookup, key) = if n % 3 == 0 {
            (&batch, n % 50 + 1)
        } else {
            (&plain, n)
        };
        let params = [("n", Value::I64(key))];
        let lookup = pin!(ask(&mysql, lookup, &params));
        let patience = pin!(async {
            for _ in 0..n % 37 {
                tokio::task::yield_now().await;
            }
            if n % 2 == 0 {
                std::future::pending::<()>().await;
            }
        });
        match select(lookup, patience).await {
            Either::Left((Ok(Value::Record(record)), _)) => {
                assert_eq!(record.values, [key.into(), (key * 2).into()]);
                (1, 0)
            }
            Either::Left((answer, _)) => {
                assert_eq!(answer, Ok(Value::I64(key)));
                (1, 0)
            }
            Either::Right(_) => (0, 1),
        }
    };
    let mut sum = (0, 0);
    for round in 0..5 {
        for (answered, dropped) in join_all((0..1000).map(|n| one(n + round * 13))).await {
            sum = (sum.0 + answered, sum.1 + dropped);
        }
    }
    assert!(sum.0 >= 2_500, "every second one is waited for: {sum:?}");
    assert!(sum.1 >= 500, "some are dropped on the way: {sum:?}");
}

#[tokio::test(flavor = "local")]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("bound").port();
    let config = format!("url = 'mysql://127.0.0.1:{port}'\nconnect_timeout = '50ms'");
    let (mysql, [lookup]) = backend(&config, [ONE]).await;
    for _ in 0..3 {
        let answer = ask(&mysql, &lookup, &[("n", 1.into())]).await;
        assert_eq!(answer, Err(Code::LookupUnavailable));
    }
}

#[tokio::test(flavor = "local")]
async fn old_connections_are_replaced_and_no_lookup_notices() {
    let server = Server::start();
    server.run(&[]).await;
    let keys = format!("url = '{}'\nconnection_age_max = '1ms'", server.url());
    let sql = "sql = 'select connection_id() + :n'\nrows = 'value'";
    let (mysql, [id]) = backend(&keys, [sql]).await;
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 10 {
        let params = [("n", Value::I64(0))];
        let asks = (0..8).map(|_| ask(&mysql, &id, &params));
        for answer in join_all(asks).await {
            seen.insert(format!("{:?}", answer.expect("an answer")));
        }
    }
}
