//! Servers behind one URL: which of them is asked, what the request says, and when it is asked again.

use super::*;
use tokio::io::AsyncReadExt as _;

use crate::backend::endpoints::Shown;
use crate::timeline::Source;

/// Two servers, the first of which answers with `status` and these headers.
async fn two(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
) -> (Server, Server, (Http, Config)) {
    let bad = Server::start(move |_| {
        let mut response = reply(status, "1");
        for (name, value) in headers {
            response
                .headers_mut()
                .insert(*name, HeaderValue::from_static(value));
        }
        response
    })
    .await;
    let good = Server::start(|_| reply(200, "2")).await;
    let at = |server: &Server| server.url.trim_start_matches("http://").to_owned();
    let keys = format!(
        "endpoints = ['{}', '{}']\nbalance = 'round_robin'\nretry = {{}}",
        at(&bad),
        at(&good)
    );
    let backend = backend("http://weather.internal/v1", &keys).await;
    (bad, good, backend)
}

#[tokio::test(flavor = "local")]
async fn requests_go_to_endpoints_and_name_the_host_of_the_url() {
    let (one, two, backend) = two(200, &[]).await;
    for _ in 0..10 {
        assert!(ask(&backend, "get = '/a'", &[]).await.is_ok());
    }
    for server in [&one, &two] {
        assert_eq!(server.asked.borrow().len(), 5);
        assert_eq!(server.connections.get(), 1, "connections are kept");
        assert_eq!(server.header("host"), "weather.internal");
        let path = server.asked.borrow()[0].uri().path().to_owned();
        assert_eq!(path, "/v1/a");
    }
}

#[tokio::test(flavor = "local")]
async fn a_busy_server_is_passed_over_unless_it_asks_for_patience() {
    let (bad, good, backend) = two(503, &[]).await;
    for _ in 0..4 {
        assert_eq!(ask(&backend, "get = '/a'", &[]).await, Ok(2.into()));
    }
    // In turn, and once more for each that is refused.
    assert_eq!(
        (bad.asked.borrow().len(), good.asked.borrow().len()),
        (2, 4)
    );
    for headers in [&[("retry-after", "1")][..], &[("x-retry", "no")]] {
        let (bad, good, backend) = two(503, headers).await;
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(ask(&backend, "get = '/a'", &[]).await.is_ok());
        }
        answers.sort_unstable();
        assert_eq!(answers, [false, false, true, true], "{headers:?}");
        assert_eq!(
            (bad.asked.borrow().len(), good.asked.borrow().len()),
            (2, 2)
        );
    }
    let (bad, good, backend) = two(404, &[]).await;
    for _ in 0..4 {
        assert!(ask(&backend, "get = '/a'", &[]).await.is_ok());
    }
    assert_eq!(
        (bad.asked.borrow().len(), good.asked.borrow().len()),
        (2, 2)
    );
}

/// How many of four requests to a server that hangs up when it is asked, and to a good one, have an answer.
async fn answered_beside_one_that_hangs_up(lookup: &str) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let hanging_up = tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a client");
            stream.readable().await.expect("a request");
            drop(stream);
        }
    });
    let good = Server::start(|_| reply(200, "2")).await;
    let at = good.url.trim_start_matches("http://").to_owned();
    let keys = format!("endpoints = ['{addr}', '{at}']\nbalance = 'round_robin'\nretry = {{}}");
    let backend = backend("http://weather.internal", &keys).await;
    let mut answered = 0;
    for _ in 0..4 {
        answered += usize::from(ask(&backend, lookup, &[]).await.is_ok());
    }
    hanging_up.abort();
    answered
}

#[tokio::test(flavor = "local")]
async fn a_post_that_was_sent_is_repeated_only_if_it_may_be() {
    assert_eq!(answered_beside_one_that_hangs_up("get = '/a'").await, 4);
    assert_eq!(answered_beside_one_that_hangs_up("post = '/a'").await, 2);
    let idempotent = "post = '/a'\nidempotent = true";
    assert_eq!(answered_beside_one_that_hangs_up(idempotent).await, 4);
}

#[tokio::test(flavor = "local")]
async fn a_dead_endpoint_is_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    drop(listener);
    let good = Server::start(|_| reply(200, "2")).await;
    let at = good.url.trim_start_matches("http://").to_owned();
    let keys = format!("endpoints = ['{addr}', '{at}']");
    let backend = backend("http://weather.internal", &keys).await;
    for _ in 0..200 {
        // Without retries: nothing was sent to the one that refuses the connection.
        assert_eq!(ask(&backend, "get = '/a'", &[]).await, Ok(2.into()));
        assert_eq!(ask(&backend, "post = '/a'", &[]).await, Ok(2.into()));
    }
    let board = backend.0.board().expect("endpoints");
    let [retried, _, _, elsewhere] = board.retries();
    assert!(retried == 0 && elsewhere > 0, "{:?}", board.retries());
    while board.endpoints().iter().all(|shown| shown.up) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let up = |shown: &Shown| (*shown.endpoint == *at, shown.up);
    let shown = board.endpoints().iter().map(up).collect::<Vec<_>>();
    assert!(shown.iter().all(|(is_good, up)| is_good == up), "{shown:?}");
}

#[tokio::test(flavor = "local")]
async fn a_slow_request_is_asked_of_a_second_endpoint_and_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let asked_and_left = tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("a request");
        bytes
    });
    let good = Server::start(|_| reply(200, "2")).await;
    let at = good.url.trim_start_matches("http://").to_owned();
    let keys = format!("endpoints = ['{addr}', '{at}']\nbalance = 'round_robin'");
    let backend = backend("http://weather.internal", &keys).await;
    let lookup = "get = '/a'\nhedge = { after = '1ms', budget = 1.0 }";
    let mut sources = Vec::new();
    for _ in 0..2 {
        let answer = answer(&backend, lookup, &[]).await.expect("an answer");
        assert_eq!(answer.value, 2.into());
        sources.push(answer.source);
    }
    assert!(sources.contains(&Source::Hedged), "{sources:?}");
    // Until the connection is closed, this waits.
    let bytes = asked_and_left.await.expect("no panic");
    assert!(bytes.starts_with(b"GET /a "), "{bytes:?}");
}

#[tokio::test(flavor = "local")]
async fn a_post_is_hedged_only_if_it_may_be_repeated() {
    let (_bad, _good, (_, config)) = two(200, &[]).await;
    let problems = |keys: &str| {
        let document = document(keys);
        let mut section = whole(&document);
        Http::read_lookup(&config, &mut section);
        section.finish();
        let problems = document.problems.into_vec().into_iter();
        problems.map(|of| of.message).collect::<Vec<_>>()
    };
    assert_eq!(
        problems("post = '/a'\nhedge = true"),
        ["a POST may not be asked twice unless its lookup says so"]
    );
    for keys in ["post = '/a'\nidempotent = true", "get = '/a'"] {
        assert_eq!(problems(&format!("{keys}\nhedge = true")), [""; 0]);
    }
}

#[test]
fn link_local_endpoints_need_an_operator_who_writes_them() {
    // As when a name or a file leads there; `resolve.rs` tests which addresses these are.
    let document = document("url = 'http://a'\nendpoints = ['169.254.169.254:80', 'a:80']");
    let config = Http::read_config(&mut whole(&document)).expect("valid");
    let endpoints = config.endpoints.expect("endpoints");
    let shown = format!("{:?}", endpoints.sources);
    assert_eq!(shown.matches("is_literal: true").count(), 1, "{shown}");
}
