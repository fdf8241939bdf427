//! Connections that are old, and servers to which there are none.

use tokio_util::task::AbortOnDropHandle;

use super::*;

#[tokio::test(flavor = "local")]
async fn old_connections_are_replaced_and_no_lookup_notices() {
    let server = Server::start(|_| reply(200, "1")).await;
    let backend = backend(&server.url, "").await;
    for connections in 1..4 {
        for _ in 0..3 {
            assert_eq!(ask(&backend, "get = '/a'", &[]).await, Ok(1.into()));
        }
        assert_eq!(server.connections.get(), connections);
        let Servers::One(server) = &backend.0.servers else {
            panic!("it has one server");
        };
        server.retire();
    }
}

#[tokio::test(flavor = "local")]
async fn a_dead_server_is_not_tried_for_every_lookup() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let attempts = Rc::new(Cell::new(0));
    let counted = Rc::clone(&attempts);
    // It accepts, and the handshake that follows fails.
    let _accepting = AbortOnDropHandle::new(tokio::task::spawn_local(async move {
        loop {
            drop(listener.accept().await.expect("accepts"));
            counted.set(counted.get() + 1);
        }
    }));
    let backend = backend(&format!("https://{addr}"), "").await;
    let begun = tokio::time::Instant::now();
    for _ in 0..500 {
        let answer = ask(&backend, "get = '/a'", &[]).await;
        assert_eq!(answer, Err(Code::LookupUnavailable));
    }
    // The first, and one more whenever at least 40 ms have passed.
    let most = 2 + begun.elapsed().as_millis() / 40;
    assert!(attempts.get() <= most, "{} of {most}", attempts.get());
}
