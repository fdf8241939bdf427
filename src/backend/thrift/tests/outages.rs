//! Services that go away and come back, and several hosts of one service.

use super::*;

#[tokio::test(flavor = "local")]
async fn a_service_that_is_down_fails_immediately_and_recovers_by_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let service = Scripted::on(listener, framed_binary(), vec![say("one")]);
    let backend = service.backend("").await;
    assert_eq!(said(&backend, 1).await, Ok("one".into()));

    drop(service);
    until(&backend, |counts| counts.up + counts.connecting == 0).await;
    let keys = "call = 'say'";
    let err = ask(&backend, keys, &[("n", 2.into())]).await;
    let err = err.expect_err("no server is there");
    assert_eq!(err.code, Code::LookupUnavailable);
    assert!(err.detail.contains("can't connect"), "{err}");

    let listener = TcpListener::bind(addr).await.expect("the port is free");
    let service = Scripted::on(listener, framed_binary(), vec![say("three")]);
    until(&backend, |counts| counts.up == 1).await;
    assert_eq!(said(&backend, 3).await, Ok("three".into()));
    assert_eq!(*service.seen.borrow(), ["say 3"]);
}

#[tokio::test(flavor = "local")]
async fn lookups_wait_for_the_first_connection() {
    let service = Scripted::start(vec![say("one")]).await;
    let backend = service.backend("").await;
    assert_eq!(said(&backend, 1).await, Ok("one".into()));
}

#[tokio::test(flavor = "local")]
async fn a_host_that_is_down_or_does_not_speak_thrift_is_skipped() {
    let closing = || (0..9).map(|_| Act::Close).collect();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let down = format!("thrift://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let bad = Scripted::start(closing()).await;
    let good = Scripted::start((0..9).map(|n| say(&n.to_string())).collect()).await;
    let urls = [down, bad.url.clone(), good.url.clone()];
    let backend = Thrift::connect(
        &config_of(&urls, ONE),
        &[],
        &crate::backend::OnLoop::default(),
    )
    .await;
    // The bad host was asked first, then the next one.
    assert_eq!(said(&backend, 1).await, Ok("0".into()));
    assert_eq!(said(&backend, 2).await, Ok("1".into()));
    assert_eq!(*good.seen.borrow(), ["say 1", "say 2"]);
}

#[tokio::test(flavor = "local")]
async fn connections_begin_at_different_hosts() {
    let services = [
        Scripted::start(vec![say("a")]).await,
        Scripted::start(vec![say("b")]).await,
    ];
    let urls: Vec<_> = services.iter().map(|service| service.url.clone()).collect();
    let keys = ONE.replace("connections = 1", "connections = 2");
    let backend = Thrift::connect(
        &config_of(&urls, &keys),
        &[],
        &crate::backend::OnLoop::default(),
    )
    .await;
    until(&backend, |counts| counts.up == 2).await;
    let (one, two) = futures_util::join!(said(&backend, 1), said(&backend, 2));
    let mut answers = [one.expect("an answer"), two.expect("an answer")];
    answers.sort_by_key(word);
    assert_eq!(answers, [Value::from("a"), Value::from("b")]);
}

#[tokio::test(flavor = "local")]
async fn calls_that_wait_when_the_service_goes_away_are_answered() {
    let service = Scripted::start(vec![say("one"), Act::Silence]).await;
    let backend = service.backend("").await;
    assert_eq!(said(&backend, 1).await, Ok("one".into()));
    let gone = async {
        service.sees(|seen| seen.len() == 2).await;
        drop(service);
    };
    let waiting = futures_util::future::join(said(&backend, 2), said(&backend, 3));
    let ((two, three), ()) = futures_util::join!(waiting, gone);
    let unavailable = Err(Code::LookupUnavailable);
    assert_eq!((two, three), (unavailable.clone(), unavailable));
}
