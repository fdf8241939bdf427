//! HTTP/2: requests that are sent once more, since the server says that it did not process them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::http2::{HTTP2, ask_for, serve};
use super::*;

/// The answer of a server to the first request; it answers all others with 200.
async fn answer_to_first(reason: h2::Reason) -> (Result<Value, Code>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let serving = tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.expect("accepts");
        let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
        while let Some(Ok((_request, mut respond))) = connection.accept().await {
            counted.set(counted.get() + 1);
            if counted.get() == 1 {
                respond.send_reset(reason);
                continue;
            }
            let response = Response::new(());
            let mut body = respond.send_response(response, false).expect("open");
            body.send_data(Bytes::from_static(b"7"), true)
                .expect("open");
        }
    });
    let _serving = AbortOnDropHandle::new(serving);
    let backend = backend(&url, HTTP2).await;
    (ask_for(&backend, 1).await, count.get())
}

#[tokio::test(flavor = "local")]
async fn only_requests_that_the_server_did_not_process_are_sent_again() {
    let refused = answer_to_first(h2::Reason::REFUSED_STREAM).await;
    assert_eq!(refused, (Ok(7.into()), 2));
    let failed = answer_to_first(h2::Reason::INTERNAL_ERROR).await;
    assert_eq!(failed, (Err(Code::LookupUnavailable), 1));
}

/// Reads frames up to the first request, then says that no request was or will be processed.
async fn go_away_unseen(mut stream: TcpStream) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    stream.write_all(SETTINGS).await.expect("writes");
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.expect("reads");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("reads");
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream
            .read_exact(&mut vec![0; length])
            .await
            .expect("reads");
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(GOAWAY).await.expect("writes");
    // Open until the client is done with it.
    drop(stream.read_to_end(&mut Vec::new()).await);
}

#[tokio::test(flavor = "local")]
async fn requests_that_a_closing_server_did_not_process_are_sent_elsewhere() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let serving = tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.expect("accepts");
        tokio::task::spawn_local(go_away_unseen(stream));
        let (stream, _) = listener.accept().await.expect("accepts");
        serve(stream, Rc::default()).await;
    });
    let _serving = AbortOnDropHandle::new(serving);
    let backend = backend(&url, HTTP2).await;
    assert_eq!(ask_for(&backend, 5).await, Ok(5.into()));
}
