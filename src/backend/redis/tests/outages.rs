//! Servers that go and come back, connections that break, and lookups that are dropped.

use std::pin::pin;

use futures_util::future::{Either, join_all, select};

use super::*;

const GET: &str = "get = 'k:{n}'";

fn is_up(counts: &Counts) -> bool {
    counts.up == 1
}

fn is_down(counts: &Counts) -> bool {
    counts.up + counts.connecting == 0
}

#[tokio::test(flavor = "local")]
async fn a_server_down_at_start_comes_up() {
    let port = free_port();
    let redis = backend(&format!("redis://127.0.0.1:{port}")).await;
    assert_eq!(
        ask(&redis, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    let _server = Server::start_on(port).expect("starts");
    until(&redis, is_up).await;
    assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok(Value::Null));
}

#[tokio::test(flavor = "local")]
async fn a_killed_server_comes_back() {
    let server = Server::start();
    let port = server.port;
    let redis = backend(&server.url()).await;
    assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok(Value::Null));
    drop(server);
    assert_eq!(
        ask(&redis, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    until(&redis, is_down).await;
    let _server = Server::start_on(port).expect("starts again");
    until(&redis, is_up).await;
    assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok(Value::Null));
}

#[tokio::test(flavor = "local")]
async fn killed_connections_go_unnoticed() {
    let server = Server::start();
    server.run(&["SET", "k:1", "one"]).await;
    let redis = backend(&server.url()).await;
    for _ in 0..3 {
        assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok("one".into()));
        let killed = server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        assert!(matches!(killed, Reply::Int(1..)), "{killed:?}");
    }
    assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok("one".into()));
}

#[tokio::test(flavor = "local")]
async fn refusals_say_so_and_last_only_as_long_as_the_cause() {
    let server = Server::start();
    server
        .run(&["CONFIG", "SET", "requirepass", "secret"])
        .await;
    let nobody = backend(&server.url()).await;
    assert_eq!(
        ask(&nobody, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable),
        "NOAUTH"
    );
    let wrong = backend(&format!("redis://:wrong@127.0.0.1:{}", server.port)).await;
    assert_eq!(
        ask(&wrong, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    let right = backend(&format!("redis://:secret@127.0.0.1:{}", server.port)).await;
    assert_eq!(ask(&right, GET, &[1.into()]).await, Ok(Value::Null));
    let command = compiled("get = 'config'").lookup;
    let reset = ["CONFIG", "SET", "requirepass", "wrong"];
    super::command(&right.connections[0], &reset).await;
    until(&wrong, is_up).await;
    assert_eq!(ask_compiled(&wrong, &command, &[]).await, Ok(Value::Null));
}

#[tokio::test(flavor = "local")]
async fn a_session_that_is_not_as_the_url_says_is_not_used() {
    let server = Server::start();
    server.run(&["SET", "k:1", "of database 0"]).await;
    let rules = ["on", "nopass", "~*", "&*", "+@all", "-select"];
    let set = ["ACL", "SETUSER", "limited"];
    server.run(&[&set[..], &rules].concat()).await;
    let redis = backend(&format!("redis://limited:x@127.0.0.1:{}/1", server.port)).await;
    let asked = redis
        .next()
        .ask(b"*2\r\n$3\r\nGET\r\n$3\r\nk:1\r\n", 1)
        .await;
    let err = asked.expect_err("it would read from database 0");
    assert_eq!(err.code, Code::LookupUnavailable);
    let words = format!("127.0.0.1:{}: NOPERM", server.port);
    let says_so = err.detail.starts_with(&words) && err.detail.contains("select");
    assert!(says_so, "the server's words: {err}");
    // This one changes nothing about the session.
    server
        .run(&["ACL", "SETUSER", "limited", "+@all", "-ping"])
        .await;
    let url = format!("redis://limited:x@127.0.0.1:{}", server.port);
    let redis = backend(&url).await;
    assert_eq!(
        ask(&redis, GET, &[1.into()]).await,
        Ok("of database 0".into())
    );
}

#[tokio::test(flavor = "local")]
async fn dropped_lookups_never_mix_answers() {
    let server = Server::start();
    let keys = 500;
    let pairs = (0..keys).flat_map(|n| [format!("k:{n}"), format!("value {n}")]);
    let words: Vec<String> = std::iter::once("MSET".to_owned()).chain(pairs).collect();
    server
        .run(&words.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let redis = backend(&server.url()).await;
    until(&redis, is_up).await;
    let command = compiled(GET).lookup;
    let one = async |n: i64| {
        let params = [Value::I64(n % keys)];
        let lookup = pin!(ask_compiled(&redis, &command, &params));
        let patience = pin!(async {
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            if n % 2 == 0 {
                std::future::pending::<()>().await;
            }
        });
        match select(lookup, patience).await {
            Either::Left((answer, _)) => {
                assert_eq!(answer, Ok(format!("value {}", n % keys).into()));
                (1, 0)
            }
            Either::Right(_) => (0, 1),
        }
    };
    let mut sum = (0, 0);
    for round in 0..10 {
        for (answered, dropped) in join_all((0..2000).map(|n| one(n + round * 13))).await {
            sum = (sum.0 + answered, sum.1 + dropped);
        }
    }
    assert!(sum.0 >= 10_000, "every second one is waited for: {sum:?}");
    assert!(sum.1 >= 1_000, "some are dropped on the way: {sum:?}");
}

#[tokio::test(flavor = "local")]
async fn several_connections_are_used_in_turn() {
    let server = Server::start();
    let document = document(&format!("url = \"{}\"\nconnections = 3", server.url()));
    let config = Redis::read_config(&mut whole(&document)).expect("valid");
    let redis = Redis::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    for connection in &redis.connections {
        net::until(&[Rc::clone(connection.availability())], is_up).await;
    }
    for n in 0..9 {
        assert_eq!(ask(&redis, GET, &[n.into()]).await, Ok(Value::Null));
    }
    let Reply::String(list) = server.run(&["CLIENT", "LIST"]).await else {
        panic!("text")
    };
    let list = String::from_utf8(list.to_vec()).expect("text");
    assert_eq!(list.matches("cmd=get").count(), 3, "{list}");
}

#[tokio::test(flavor = "local")]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("bound").port();
    let document = document(&format!(
        "url = 'redis://127.0.0.1:{port}'\nconnect_timeout = '50ms'"
    ));
    let config = Redis::read_config(&mut whole(&document)).expect("valid");
    let redis = Redis::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    assert_eq!(
        ask(&redis, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
    until(&redis, is_down).await;
    assert_eq!(
        ask(&redis, GET, &[1.into()]).await,
        Err(Code::LookupUnavailable)
    );
}

#[tokio::test(flavor = "local")]
async fn old_connections_are_replaced_and_no_lookup_notices() {
    let server = Server::start();
    server.run(&["SET", "k:1", "one"]).await;
    let keys = format!("url = '{}'\nconnection_age_max = '1ms'", server.url());
    let redis = configured(&keys).await;
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 10 {
        let id = redis.next().ask(b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n", 1);
        seen.insert(format!("{:?}", id.await.expect("an answer")));
        let params = [Value::I64(1)];
        let asks = (0..20).map(|_| ask(&redis, GET, &params));
        for answer in join_all(asks).await {
            assert_eq!(answer, Ok("one".into()));
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_that_stops_answering_loses_its_connection() {
    let server = Server::start();
    let redis = backend(&server.url()).await;
    assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok(Value::Null));
    signal(&server.child, "STOP");
    let command = compiled(GET).lookup;
    let stuck = async || {
        let asked = ask_compiled(&redis, &command, &[Value::I64(1)]);
        drop(timeout(Duration::from_millis(10), asked).await);
        !redis.connections[0].is_up()
    };
    eventually("the connection is given up", stuck).await;
    signal(&server.child, "CONT");
    until(&redis, is_up).await;
    assert_eq!(ask(&redis, GET, &[1.into()]).await, Ok(Value::Null));
}
