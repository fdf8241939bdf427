//! Servers that go and come back, and lookups that are dropped.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::*;

const GET: &str = "get = 'k:{n}'";

#[tokio::test(flavor = "local")]
async fn a_server_down_at_start_comes_up() {
    let port = free_port();
    let memcached = backend(&[format!("127.0.0.1:{port}")]).await;
    assert_eq!(
        ask(&memcached, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    let _server = Server::start_on(port).expect("starts");
    until(&memcached, 0, |counts| counts.up > 0).await;
    assert_eq!(ask(&memcached, GET, &[1.into()]).await, Ok(Value::Null));
}

#[tokio::test(flavor = "local")]
async fn a_killed_server_costs_its_own_keys_and_comes_back() {
    let servers = [Server::start(), Server::start(), Server::start()];
    let addrs: Vec<String> = servers.iter().map(Server::addr).collect();
    let memcached = backend(&addrs).await;
    let places = spread(&memcached, &servers, 200);
    let [first, killed, third] = servers;
    let port = killed.port;
    assert!(ask_range(&memcached, 200).await.iter().all(Result::is_ok));

    drop(killed);
    for _ in 0..2 {
        let answers = ask_range(&memcached, 200).await;
        for (n, (answer, place)) in answers.into_iter().zip(&places).enumerate() {
            let expected = match place {
                1 => Err(Code::LookupUnavailable),
                _ => Ok(format!("value {n}").into()),
            };
            assert_eq!(answer, expected, "{n} of server {place}");
        }
    }
    until(&memcached, 1, is_down).await;

    let again = Server::start_on(port).expect("starts again");
    until(&memcached, 1, |counts| counts.up > 0).await;
    let answers = ask_range(&memcached, 200).await;
    let empty = answers
        .iter()
        .filter(|answer| **answer == Ok(Value::Null))
        .count();
    assert_eq!(empty, places.iter().filter(|place| **place == 1).count());
    let servers = [first, again, third];
    spread(&memcached, &servers, 200);
    for (n, answer) in ask_range(&memcached, 200).await.into_iter().enumerate() {
        assert_eq!(answer, Ok(format!("value {n}").into()));
    }
}

#[tokio::test(flavor = "local")]
async fn a_quick_restart_goes_unnoticed() {
    let mut server = Server::start();
    let port = server.port;
    let memcached = backend(&[server.addr()]).await;
    for round in 0..2 {
        until(&memcached, 0, |counts| counts.up == 2).await;
        server.set([("k:1".to_owned(), format!("round {round}").into_bytes())]);
        for _ in 0..4 {
            let answer = ask(&memcached, GET, &[1.into()]).await;
            assert_eq!(answer, Ok(format!("round {round}").into()));
        }
        drop(server);
        server = Server::start_on(port).expect("starts again");
        // Every connection is broken, and no task knows it yet.
        for _ in 0..4 {
            assert_eq!(ask(&memcached, GET, &[1.into()]).await, Ok(Value::Null));
        }
    }
}

#[tokio::test(flavor = "local")]
async fn dropped_lookups_never_mix_answers() {
    let servers = [Server::start(), Server::start()];
    let addrs: Vec<String> = servers.iter().map(Server::addr).collect();
    let memcached = backend(&addrs).await;
    let keys = 500;
    spread(&memcached, &servers, keys);
    let get = compiled(GET).lookup;
    let one = async |n: i64| {
        let (n, other) = (n % keys, (n * 7) % keys);
        let params: [&[Value]; 2] = [&[n.into()], &[other.into()]];
        let lookup = pin!(ask_many(&memcached, &get, &params));
        let patience = pin!(async {
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            if n % 2 == 0 {
                std::future::pending::<()>().await;
            }
        });
        match select(lookup, patience).await {
            Either::Left((answers, _)) => {
                let expected = [n, other].map(|n| Ok(format!("value {n}").into()));
                assert_eq!(answers, expected);
                (1, 0)
            }
            Either::Right(_) => (0, 1),
        }
    };
    let mut sum = (0, 0);
    for round in 0..10 {
        for (answered, dropped) in join_all((0..1000).map(|n| one(n + round * 13))).await {
            sum = (sum.0 + answered, sum.1 + dropped);
        }
    }
    assert!(sum.0 >= 5000, "every second one is waited for: {sum:?}");
    assert!(sum.1 >= 500, "some are dropped on the way: {sum:?}");
    let made: u64 = servers
        .iter()
        .map(|server| server.stat("total_connections"))
        .sum();
    assert!(
        made < 100,
        "dropped lookups cost no connections, but {made} were made"
    );
}

#[tokio::test(flavor = "local")]
async fn old_connections_are_replaced_and_no_lookup_notices() {
    let server = Server::start();
    server.set([("k:1".to_owned(), b"one".to_vec())]);
    let keys = "answer_timeout = '20s'\nconnect_timeout = '20s'\nconnection_age_max = '1ms'";
    let memcached = backend_with(&[server.addr()], keys).await;
    while server.stat("total_connections") < 20 {
        assert_eq!(ask(&memcached, GET, &[1.into()]).await, Ok("one".into()));
    }
}
