//! Statuses, bodies and headers, over real sockets.

use std::pin::pin;

use futures_util::future::{Either, join_all, select};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::*;

type Piece = Result<Frame<Bytes>, std::io::Error>;

/// A response whose body is sent piece by piece, for as long as the test holds the sender.
fn streamed() -> (mpsc::UnboundedSender<Piece>, Response<Body>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let pieces = stream::unfold(
        receiver,
        async |mut receiver: mpsc::UnboundedReceiver<Piece>| {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        },
    );
    (
        sender,
        Response::new(StreamBody::new(pieces).boxed_unsync()),
    )
}

fn send(body: &mpsc::UnboundedSender<Piece>, bytes: impl Into<Bytes>) {
    body.send(Ok(Frame::data(bytes.into())))
        .expect("the server listens");
}

#[tokio::test(flavor = "local")]
async fn statuses_have_their_meanings() {
    let server = Server::start(|path| {
        let status = path.trim_start_matches("/s/").parse().expect("a status");
        reply(status, "5")
    })
    .await;
    let backend = backend(&server.url, "").await;
    let status = async |status: i64, more: &str| {
        ask(
            &backend,
            &format!("get = '/s/{{status}}'\n{more}"),
            &[status.into()],
        )
        .await
    };
    assert_eq!(status(200, "").await, Ok(5.into()));
    assert_eq!(status(201, "").await, Ok(5.into()));
    assert_eq!(status(204, "").await, Ok(Value::Null));
    assert_eq!(status(404, "").await, Ok(Value::Null));
    assert_eq!(status(404, "empty_on = []").await, Err(Code::LookupRefused));
    assert_eq!(status(410, "empty_on = [404, 410]").await, Ok(Value::Null));
    for (answered, code) in [
        (301, Code::LookupRefused),
        (302, Code::LookupRefused),
        (400, Code::LookupRefused),
        (401, Code::LookupRefused),
        (429, Code::LookupUnavailable),
        (500, Code::LookupFailed),
        (502, Code::LookupFailed),
        (503, Code::LookupUnavailable),
    ] {
        assert_eq!(status(answered, "").await, Err(code), "{answered}");
    }
}

#[tokio::test(flavor = "local")]
async fn redirects_are_not_followed() {
    let server = Server::start(|_| {
        let mut response = reply(302, "");
        response
            .headers_mut()
            .insert("location", HeaderValue::from_static("/elsewhere"));
        response
    })
    .await;
    let backend = backend(&server.url, "").await;
    let err = answer(&backend, "get = '/a'", &[])
        .await
        .expect_err("refused");
    assert_eq!(err.code, Code::LookupRefused);
    assert!(
        err.detail.contains("redirects are not followed"),
        "{}",
        err.detail
    );
    assert_eq!(server.asked.borrow().len(), 1);
}

#[tokio::test(flavor = "local")]
async fn bodies_are_read_in_their_format() {
    let server = Server::start(|path| match path {
        "/json" => reply(200, r#"{"data": [{"city": "NY"}], "none": null}"#),
        "/latin1" => reply(200, &b"\xe9"[..]),
        "/broken" => reply(200, "{"),
        _ => reply(200, ""),
    })
    .await;
    let backend = backend(&server.url, "").await;
    let get = async |keys: &str| ask(&backend, keys, &[]).await;
    let json = get("get = '/json'").await.expect("JSON");
    assert_eq!(json.get("none"), Some(&Value::Null));
    assert_eq!(
        get("get = '/json'\npointer = '/data/0/city'").await,
        Ok("NY".into())
    );
    assert_eq!(
        get("get = '/json'\npointer = '/data/1'").await,
        Ok(Value::Null)
    );
    assert_eq!(
        get("get = '/json'\npointer = '/none'").await,
        Ok(Value::Null)
    );
    assert_eq!(
        get("get = '/latin1'\nformat = 'bytes'").await,
        Ok(Value::Bytes(b"\xe9"[..].into()))
    );
    assert_eq!(server.header("accept"), "*/*");
    assert_eq!(
        get("get = '/latin1'\nformat = 'text'").await,
        Err(Code::LookupBadAnswer)
    );
    assert_eq!(get("get = '/empty'\nformat = 'text'").await, Ok("".into()));
    assert_eq!(get("get = '/empty'").await, Err(Code::LookupBadAnswer));
    assert_eq!(get("get = '/broken'").await, Err(Code::LookupBadAnswer));
    assert_eq!(
        get("get = '/broken'\npointer = '/a'").await,
        Err(Code::LookupBadAnswer)
    );
}

#[tokio::test(flavor = "local")]
async fn requests_carry_the_context_and_the_headers() {
    let server = Server::start(|_| reply(200, "1")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("token");
    std::fs::write(&secret, "Bearer hush\n").expect("written");
    let keys = format!(
        "headers = {{ Authorization = 'file:{}', x-fixed = 'f' }}",
        secret.display()
    );
    let backend = backend(&format!("{}/base/", server.url), &keys).await;
    let lookup = "get = '/a/{id}?q={q}'\nheaders = { x-tenant = 't-{tenant}', x-fixed = 'g' }";
    let params = ["1/2".into(), "a&b=c".into(), "é".into()];
    assert_eq!(ask(&backend, lookup, &params).await, Ok(1.into()));
    assert_eq!(server.asked.borrow()[0].uri(), "/base/a/1%2F2?q=a%26b%3Dc");
    assert_eq!(server.header("authorization"), "Bearer hush");
    assert_eq!(server.header("x-tenant"), "t-é");
    assert_eq!(server.header("x-fixed"), "g", "a lookup's header wins");
    assert_eq!(server.header("accept"), "application/json");
    assert_eq!(
        server.header("user-agent"),
        concat!("tributary/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(server.header("traceparent"), "00-0123-45-01");
    assert_eq!(server.header("request-id"), "r-1");
    let budget: u64 = server
        .header("deadline-budget")
        .parse()
        .expect("milliseconds");
    assert!((1..=5000).contains(&budget), "{budget}");
    for (at, bad) in [(0, ".."), (0, ""), (2, "a\r\nx: y"), (2, "a\nb")] {
        let mut params = params.clone();
        params[at] = bad.into();
        assert_eq!(
            ask(&backend, lookup, &params).await,
            Err(Code::LookupBadParam),
            "{bad:?}"
        );
    }
    assert_eq!(
        server.asked.borrow().len(),
        1,
        "what is refused is never sent"
    );
}

#[tokio::test(flavor = "local")]
async fn the_first_answer_is_when_the_head_came() {
    let (body, response) = streamed();
    let response = RefCell::new(Some(response));
    let server = Server::start(move |path| match path {
        "/slow" => response.borrow_mut().take().expect("asked once"),
        _ => reply(200, "2"),
    })
    .await;
    let backend = Rc::new(backend(&server.url, "").await);
    let slow = {
        let backend = Rc::clone(&backend);
        tokio::task::spawn_local(async move {
            let answer = answer(&backend, "get = '/slow'", &[]).await;
            (answer, Instant::now())
        })
    };
    send(&body, "[1");
    while server.asked.borrow().is_empty() {
        tokio::task::yield_now().await;
    }
    // These go over another connection of the same loop, so the slow one's head has long come after them.
    for _ in 0..3 {
        assert_eq!(ask(&backend, "get = '/fast'", &[]).await, Ok(2.into()));
    }
    let between = Instant::now();
    send(&body, ",2]");
    drop(body);
    let (answer, done) = slow.await.expect("ends");
    let answer = answer.expect("an answer");
    assert_eq!(answer.value, Value::from(vec![1, 2]));
    let first = answer.first_answer.expect("known");
    assert!(first <= between && between <= done);
}

#[tokio::test(flavor = "local")]
async fn long_bodies_are_cut_off() {
    let (sizes, endless) = streamed();
    let endless = RefCell::new(Some(endless));
    let server = Server::start(move |path| match path {
        "/endless" => endless.borrow_mut().take().expect("asked once"),
        path => reply(
            200,
            "x".repeat(path.trim_start_matches('/').parse().expect("a size")),
        ),
    })
    .await;
    let backend = backend(&server.url, "body_bytes_max = '1KiB'").await;
    let get =
        async |path: &str| ask(&backend, &format!("get = '/{path}'\nformat = 'text'"), &[]).await;
    assert!(get("1024").await.is_ok());
    assert_eq!(get("1025").await, Err(Code::LookupTooMany));
    for _ in 0..100 {
        send(&sizes, vec![b'x'; 100]);
    }
    assert_eq!(
        get("endless").await,
        Err(Code::LookupTooMany),
        "though it never ends"
    );
    assert!(get("10").await.is_ok(), "the backend goes on");
}

#[tokio::test(flavor = "local")]
async fn broken_answers_and_no_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, mut stopped) = oneshot::channel::<()>();
    let server = tokio::task::spawn_local(async move {
        let answers = [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1,"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"",
        ];
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.expect("reads");
            assert!(request[..read].starts_with(b"GET /a HTTP/1.1\r\n"));
            stream.write_all(answer).await.expect("writes");
        }
        assert!(stopped.try_recv().is_err(), "not stopped before");
    });
    let backend = backend(&format!("http://{address}"), "").await;
    let get = async || ask(&backend, "get = '/a'", &[]).await;
    assert_eq!(get().await, Err(Code::LookupUnavailable), "cut short");
    assert_eq!(get().await, Err(Code::LookupBadAnswer), "a broken chunk");
    assert_eq!(get().await, Err(Code::LookupBadAnswer), "not HTTP");
    assert_eq!(
        get().await,
        Err(Code::LookupUnavailable),
        "closed without a word"
    );
    server.await.expect("all were asked");
    assert_eq!(
        get().await,
        Err(Code::LookupUnavailable),
        "connection refused"
    );
    drop(stop);
}

#[tokio::test(flavor = "local")]
async fn connections_are_used_again() {
    let server = Server::start(|path| reply(if path == "/404" { 404 } else { 200 }, "1")).await;
    let backend = backend(&server.url, "").await;
    for path in ["/a", "/404", "/b", "/404", "/c"] {
        let keys = format!("get = '{path}'");
        ask(&backend, &keys, &[]).await.expect("an answer");
    }
    assert_eq!(server.asked.borrow().len(), 5);
    assert_eq!(server.connections.get(), 1);
}

#[tokio::test(flavor = "local")]
async fn dropped_lookups_never_mix_answers() {
    let server = Server::start(|path| reply(200, path.trim_start_matches('/').to_owned())).await;
    let (http, config) = backend(&server.url, "connections = 8").await;
    let get = compiled(&config, "get = '/{n}'").lookup;
    let now = Instant::now();
    let context = Context::new(now, now + Duration::from_mins(1));
    let one = async |n: i64| {
        let params = [n.into()];
        let ask = Ask {
            params: &params,
            context: &context,
            deadline: context.deadline,
            allowed: Duration::ZERO,
            step: 0,
        };
        let lookup = pin!(http.lookup(&get, ask));
        let patience = pin!(async {
            for _ in 0..n % 9 {
                tokio::task::yield_now().await;
            }
            if n % 2 == 0 {
                std::future::pending::<()>().await;
            }
        });
        match select(lookup, patience).await {
            Either::Left((answer, _)) => {
                assert_eq!(answer.expect("an answer").value, n.into());
                (1, 0)
            }
            Either::Right(_) => (0, 1),
        }
    };
    let mut sum = (0, 0);
    for round in 0..50 {
        for (answered, dropped) in join_all((0..20).map(|n| one(n + round * 20))).await {
            sum = (sum.0 + answered, sum.1 + dropped);
        }
    }
    assert!(sum.0 >= 500, "every second one is waited for: {sum:?}");
    assert!(sum.1 >= 100, "some are dropped on the way: {sum:?}");
}
