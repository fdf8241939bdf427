//! Requests with a body.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// A server that answers every request with its body, and closes instead of answering the request of this number. It keeps
/// the heads of requests.
struct Echo {
    url: String,
    heads: Rc<RefCell<Vec<String>>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Echo {
    async fn start(closes_at: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let heads = Rc::default();
        let log = Rc::clone(&heads);
        let accepting = tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                // A client that goes away is part of the tests.
                let log = Rc::clone(&log);
                tokio::task::spawn_local(async move {
                    drop(echo(stream, &log, closes_at).await);
                });
            }
        });
        Echo {
            url,
            heads,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }
}

async fn echo(
    stream: TcpStream,
    heads: &RefCell<Vec<String>>,
    closes_at: usize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        stream.read_exact(&mut body).await?;
        heads.borrow_mut().push(head);
        if heads.borrow().len() == closes_at {
            return Ok(());
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    }
}

#[tokio::test(flavor = "local")]
async fn a_body_is_sent_with_its_type_and_length() {
    let server = Echo::start(0).await;
    let backend = backend(&server.url, "").await;
    let keys =
        "post = '/search/{index}'\nbody = { query = '{text}', size = '{size}', fixed = [1] }";
    let params = [Value::from("air"), "caf\u{e9} \"x\"".into(), 20.into()];
    let answer = ask(&backend, keys, &params).await.expect("an answer");
    assert_eq!(
        answer.get("query").and_then(Value::as_str),
        Some("caf\u{e9} \"x\"")
    );
    assert_eq!(answer.get("size"), Some(&Value::I64(20)));
    assert_eq!(answer.get("fixed"), Some(&Value::List(vec![1.into()])));
    let head = server.heads.borrow().last().expect("a request").clone();
    assert!(head.starts_with("POST /search/air HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/json\r\n"),
        "{head}"
    );

    let typed = "post = '/'\nbody = 'x'\nheaders = { content-type = 'application/x-y' }";
    assert_eq!(ask(&backend, typed, &[]).await, Ok("x".into()));
    let head = server.heads.borrow().last().expect("a request").clone();
    assert!(head.contains("content-type: application/x-y\r\n"), "{head}");
    assert!(!head.contains("application/json\r\n") || head.contains("accept: application/json"));

    let bytes = ask(&backend, "post = '/'\nformat = 'bytes'", &[]).await;
    assert_eq!(bytes, Ok(Value::Bytes(Bytes::new())));
    let head = server.heads.borrow().last().expect("a request").clone();
    assert!(head.contains("content-length: 0\r\n"), "{head}");
    assert!(!head.contains("content-type"), "{head}");
}

#[tokio::test(flavor = "local")]
async fn a_request_that_was_sent_is_not_sent_again() {
    for method in ["get", "post"] {
        let server = Echo::start(2).await;
        let backend = backend(&server.url, "").await;
        let keys = format!("{method} = '/'\nformat = 'bytes'");
        let empty = Ok(Value::Bytes(Bytes::new()));
        assert_eq!(ask(&backend, &keys, &[]).await, empty);
        let lost = ask(&backend, &keys, &[]).await;
        assert_eq!(lost, Err(Code::LookupUnavailable));
        assert_eq!(server.heads.borrow().len(), 2, "{method}");
        assert_eq!(ask(&backend, &keys, &[]).await, empty);
    }
}
