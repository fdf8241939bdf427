//! Tests against a small HTTP server inside the test.

mod answers;
mod config;
mod encoded;
mod connections;
mod endpoints;
mod http2;
mod post;
mod unseen;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::config::{document, whole};
use crate::context::Context;
use crate::error::Code;
use crate::value::Value;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Requests = Rc<RefCell<Vec<Request<Incoming>>>>;

/// A server on this loop; it answers as long as the test runs.
struct Server {
    url: String,
    /// The received requests.
    asked: Requests,
    /// The number of accepted connections.
    connections: Rc<Cell<usize>>,
    _accepting: tokio_util::task::AbortOnDropHandle<()>,
}

impl Server {
    /// Starts one that answers by path and query.
    async fn start(answer: impl Fn(&str) -> Response<Body> + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Requests::default();
        let connections = Rc::new(Cell::new(0));
        let accepting = tokio::task::spawn_local({
            let (asked, connections, answer) =
                (Rc::clone(&asked), Rc::clone(&connections), Rc::new(answer));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("accepts");
                    connections.set(connections.get() + 1);
                    let serving = serve(stream, Rc::clone(&asked), Rc::clone(&answer));
                    tokio::task::spawn_local(serving);
                }
            }
        });
        Server {
            url,
            asked,
            connections,
            _accepting: tokio_util::task::AbortOnDropHandle::new(accepting),
        }
    }

    /// The last request's header `name`; empty if it was missing.
    fn header(&self, name: &str) -> String {
        let asked = self.asked.borrow();
        let value = asked.last().expect("a request").headers().get(name);
        value
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default()
    }
}

async fn serve(stream: TcpStream, asked: Requests, answer: Rc<impl Fn(&str) -> Response<Body>>) {
    let service = service_fn(async |request: Request<Incoming>| {
        let path = request.uri().path_and_query().expect("a path").to_string();
        asked.borrow_mut().push(request);
        Ok::<_, Infallible>(answer(&path))
    });
    // A client that goes away in the middle is part of the tests.
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.await.ok();
}

/// A response of one piece.
fn reply(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("a status");
    response
}

/// A backend at `url`, with more keys.
async fn backend(url: &str, keys: &str) -> (Http, Config) {
    let document = document(&format!("url = '{url}'\n{keys}"));
    let config = Http::read_config(&mut whole(&document)).expect("a valid configuration");
    (
        Http::connect(&config, &[], &crate::backend::OnLoop::default()).await,
        config,
    )
}

/// A lookup with these keys.
fn compiled(config: &Config, keys: &str) -> Compiled<Lookup> {
    let document = document(keys);
    let mut section = whole(&document);
    let compiled = Http::read_lookup(config, &mut section);
    section.finish();
    let problems: Vec<String> = document
        .problems
        .into_vec()
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    compiled.expect("a lookup")
}

async fn answer(
    (http, config): &(Http, Config),
    keys: &str,
    params: &[Value],
) -> Result<Answer, LookupError> {
    let now = Instant::now();
    let deadline = now + Duration::from_secs(5);
    let mut context = Context::new(now, deadline);
    context.request_id = "r-1".into();
    context.traceparent = Some("00-0123-45-01".into());
    let get = compiled(config, keys).lookup;
    let ask = Ask {
        params,
        context: &context,
        deadline,
        allowed: Duration::ZERO,
        step: 0,
    };
    timeout(Duration::from_secs(10), http.lookup(&get, ask))
        .await
        .expect("a lookup ends")
}

async fn ask(backend: &(Http, Config), keys: &str, params: &[Value]) -> Result<Value, Code> {
    answer(backend, keys, params)
        .await
        .map(|answer| answer.value)
        .map_err(|err| err.code)
}
