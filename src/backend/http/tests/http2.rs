//! HTTP/2: many lookups on one connection, limits of streams, servers that go away or stop answering.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::future::{Either, join_all, select};
use hyper::server::conn::http2;
use hyper::{Response, Version};
use tokio::sync::{Notify, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// What a server does, and what it saw.
#[derive(Default)]
pub(super) struct State {
    /// Concurrent streams per connection.
    streams_max: Option<u32>,
    /// A connection goes away after this many requests.
    goes_away_after: Option<usize>,
    connections: Cell<usize>,
    running: Cell<usize>,
    running_max: Cell<usize>,
    asked: RefCell<Vec<String>>,
    /// A request for `/slow` has come; one has ended, answered or not; they may end; connections stand still.
    slow_came: Notify,
    slow_ended: Notify,
    go_on: Notify,
    freeze: Notify,
}

struct Server2 {
    url: String,
    state: Rc<State>,
    _accepting: AbortOnDropHandle<()>,
}

impl Server2 {
    async fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Rc::new(state);
        let shared = Rc::clone(&state);
        let accepting = async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                shared.connections.set(shared.connections.get() + 1);
                tokio::task::spawn_local(serve(stream, Rc::clone(&shared)));
            }
        };
        Server2 {
            url,
            state,
            _accepting: AbortOnDropHandle::new(tokio::task::spawn_local(accepting)),
        }
    }
}

pub(super) async fn serve(stream: TcpStream, state: Rc<State>) {
    let left = Rc::new(Cell::new(state.goes_away_after));
    let enough = Rc::new(Notify::new());
    let service = {
        let (state, enough) = (Rc::clone(&state), Rc::clone(&enough));
        service_fn(move |request: Request<Incoming>| {
            if let Some(more) = left.get() {
                left.set(Some(more.saturating_sub(1)));
                if more == 1 {
                    enough.notify_one();
                }
            }
            answer_one(Rc::clone(&state), request)
        })
    };
    let mut builder = http2::Builder::new(LocalExecutor);
    builder.max_concurrent_streams(state.streams_max);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            _ended = &mut connection => return,
            () = enough.notified() => connection.as_mut().graceful_shutdown(),
            // Held open, but never read again.
            () = state.freeze.notified() => std::future::pending().await,
        }
    }
}

/// The number in the path. `/slow` waits until it may go on.
async fn answer_one(
    state: Rc<State>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    assert_eq!(request.version(), Version::HTTP_2);
    let path = request.uri().path().trim_start_matches('/').to_owned();
    state.asked.borrow_mut().push(path.clone());
    let running = Running::new(&state, path == "slow");
    if path == "slow" {
        state.slow_came.notify_one();
        state.go_on.notified().await;
        drop(running);
        return Ok(reply(200, "0"));
    }
    // Long enough for others to come meanwhile.
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    Ok(reply(200, path))
}

/// A request that is being answered, until it is answered or reset.
struct Running<'s>(&'s State, bool);

impl<'s> Running<'s> {
    fn new(state: &'s State, slow: bool) -> Self {
        state.running.set(state.running.get() + 1);
        state
            .running_max
            .set(state.running_max.get().max(state.running.get()));
        Running(state, slow)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        if self.1 {
            self.0.slow_ended.notify_one();
        }
    }
}

/// Runs what need not be `Send`.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

pub(super) const HTTP2: &str = "http2 = true";

pub(super) async fn ask_for(backend: &(Http, Config), n: i64) -> Result<Value, Code> {
    ask(backend, "get = '/{n}'", &[n.into()]).await
}

#[tokio::test(flavor = "local")]
async fn many_lookups_share_one_connection_and_keep_to_its_limit() {
    let server = Server2::start(State {
        streams_max: Some(10),
        ..State::default()
    })
    .await;
    let backend = backend(&server.url, HTTP2).await;
    // The first of them come before the server has said how many it takes at a time.
    for round in 0..3 {
        let numbers = round * 300..(round + 1) * 300;
        let answers = join_all(numbers.clone().map(|n| ask_for(&backend, n))).await;
        for (n, answer) in numbers.zip(answers) {
            assert_eq!(answer, Ok(n.into()));
        }
    }
    assert_eq!(server.state.connections.get(), 1);
    assert!(server.state.running_max.get() > 1, "at the same time");
    assert!(server.state.running_max.get() <= 10);
}

#[tokio::test(flavor = "local")]
async fn a_dropped_lookup_ends_its_stream_and_those_that_wait_are_not_sent() {
    let server = Server2::start(State {
        streams_max: Some(1),
        ..State::default()
    })
    .await;
    let state = &server.state;
    let backend = backend(&server.url, HTTP2).await;
    assert_eq!(ask_for(&backend, 1).await, Ok(1.into()));
    let mut slow = Box::pin(ask(&backend, "get = '/slow'", &[]));
    match select(&mut slow, pin!(state.slow_came.notified())).await {
        Either::Right(_) => {}
        Either::Left(_) => panic!("not answered yet"),
    }
    // There is one stream: these wait for it, until their own time is up.
    let waiting = Box::pin(join_all((10..15).map(|n| ask_for(&backend, n))));
    let patience = pin!(async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
    assert!(matches!(select(waiting, patience).await, Either::Right(_)));
    drop(slow);
    state.slow_ended.notified().await;
    assert_eq!(ask_for(&backend, 2).await, Ok(2.into()));
    // The next request was already handed to the connection, which announces it to the server and resets it.
    let asked = state.asked.borrow();
    let asked: Vec<&str> = asked.iter().map(|path| &**path).collect();
    assert!(
        matches!(asked[..], ["1", "slow", "2"] | ["1", "slow", "10", "2"]),
        "{asked:?}"
    );
    assert_eq!(state.connections.get(), 1);
}

#[tokio::test(flavor = "local")]
async fn dropped_lookups_never_mix_answers() {
    let server = Server2::start(State {
        streams_max: Some(8),
        ..State::default()
    })
    .await;
    let backend = backend(&server.url, HTTP2).await;
    let one = async |n: i64| {
        let patience = pin!(async {
            for _ in 0..n % 17 {
                tokio::task::yield_now().await;
            }
            if n % 2 == 0 {
                std::future::pending::<()>().await;
            }
        });
        match select(pin!(ask_for(&backend, n)), patience).await {
            Either::Left((answer, _)) => {
                assert_eq!(answer, Ok(n.into()));
                (1, 0)
            }
            Either::Right(_) => (0, 1),
        }
    };
    let mut sum = (0, 0);
    for round in 0..100 {
        for (answered, dropped) in join_all((0..30).map(|n| one(n + round * 30))).await {
            sum = (sum.0 + answered, sum.1 + dropped);
        }
    }
    assert!(sum.0 >= 1500, "every second one is waited for: {sum:?}");
    assert!(sum.1 >= 500, "some are dropped on the way: {sum:?}");
    assert_eq!(
        server.state.connections.get(),
        1,
        "none of it cost the connection"
    );
}

#[tokio::test(flavor = "local")]
async fn a_server_that_goes_away_loses_no_lookup() {
    let server = Server2::start(State {
        goes_away_after: Some(7),
        ..State::default()
    })
    .await;
    let backend = backend(&server.url, HTTP2).await;
    let mut seen = HashSet::new();
    for round in 0..50 {
        let numbers = round * 5..(round + 1) * 5;
        let answers = join_all(numbers.clone().map(|n| ask_for(&backend, n))).await;
        for (n, answer) in numbers.zip(answers) {
            assert_eq!(answer, Ok(n.into()));
            seen.insert(n);
        }
    }
    assert_eq!(seen.len(), 250);
    assert!(server.state.connections.get() > 10);
}

#[tokio::test(flavor = "local")]
async fn a_connection_that_went_silent_is_given_up() {
    let server = Server2::start(State::default()).await;
    let backend = backend(&server.url, HTTP2).await;
    assert_eq!(ask_for(&backend, 1).await, Ok(1.into()));
    server.state.freeze.notify_one();
    tokio::task::yield_now().await;
    // Paused time advances when there is nothing else to do: to the next ping, and to its timeout.
    tokio::time::pause();
    let get = compiled(&backend.1, "get = '/2'").lookup;
    let now = Instant::now();
    let context = Context::new(now, now + Duration::from_hours(1));
    let question = Ask {
        params: &[],
        context: &context,
        deadline: context.deadline,
        allowed: Duration::ZERO,
        step: 0,
    };
    let gone = backend
        .0
        .lookup(&get, question)
        .await
        .expect_err("no answer");
    assert_eq!(gone.code, Code::LookupUnavailable, "{gone}");
    assert!(now.elapsed() <= clients::PING_INTERVAL + clients::PING_TIMEOUT * 2);
    tokio::time::resume();
    assert_eq!(ask_for(&backend, 3).await, Ok(3.into()));
    assert_eq!(server.state.connections.get(), 2);
}

#[tokio::test(flavor = "local")]
async fn a_server_of_another_version_is_named_in_the_error() {
    let (came, asked) = oneshot::channel();
    let came = RefCell::new(Some(came));
    let server = Server::start(move |_| {
        drop(came.borrow_mut().take());
        reply(200, "1")
    })
    .await;
    let backend = backend(&server.url, HTTP2).await;
    assert_eq!(ask_for(&backend, 1).await, Err(Code::LookupUnavailable));
    drop(server);
    let never: Result<(), _> = asked.await;
    assert!(never.is_err());
}
