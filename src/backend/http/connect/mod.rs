//! Makes the connections to an HTTP server: resolves the name, connects, and starts TLS where the URL says so.
//!
//! All of it happens within `connect_timeout`, in a task of its own: when a lookup gives up, the connection it waited for
//! is kept for the next one, so that a connection is made however short the lookups' deadlines are. After an attempt that
//! failed, lookups fail at once, and from time to time one of them has the next attempt made. A name that resolves
//! to a link-local address, where cloud services hand out credentials, is refused: to change a name must not be enough to
//! read those. An operator who wants such a server configures its address.

mod dial;
mod down;
mod resolve;
mod stream;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::Uri;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service;

use self::dial::{Dialer, Failure};
pub(super) use self::down::Down;
pub(super) use self::stream::Stream;
use super::config::Config;
use crate::backend::endpoints::Target;
use crate::supervise::{Panics, supervise};

/// How long a connection whose lookup gave up is kept for the next one.
const SPARE_AGE_MAX: Duration = Duration::from_secs(5);

/// Asks for connections; used by hyper's client.
#[derive(Clone)]
pub(super) struct Connector {
    /// Unbounded: there is at most one of these per lookup in flight, and `in_flight_max` limits those.
    requests: mpsc::UnboundedSender<ConnectRequest>,
}

struct ConnectRequest {
    url: Uri,
    answer: oneshot::Sender<Result<Stream, Failure>>,
}

impl Connector {
    /// The connector, and the task that makes the connections: to the URL's host, or to one of its endpoints.
    pub(super) fn start(
        config: &Config,
        endpoint: Option<&Target>,
        (down, seed): (&Rc<RefCell<Down>>, u64),
    ) -> (Self, AbortOnDropHandle<()>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        let receiver = Rc::new(RefCell::new(receiver));
        let dialer = Rc::new(RefCell::new(Dialer::new(config, endpoint)));
        let down = Rc::clone(down);
        let task = supervise("http connections", move || {
            down.replace(Down::new(seed));
            serve_requests(Rc::clone(&dialer), Rc::clone(&receiver), Rc::clone(&down))
        });
        (Connector { requests }, task)
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (answer, made) = oneshot::channel();
        let sent = self.requests.send(ConnectRequest { url, answer });
        Box::pin(async move {
            let ended = || io::Error::other("the backend was closed");
            sent.map_err(|_| ended())?;
            made.await.map_err(|_| ended())?
        })
    }
}

/// Makes as many connections at a time as are waited for, and gives each to the lookup that has waited longest. While the
/// server is down, one at a time, and not for every lookup.
async fn serve_requests(
    dialer: Rc<RefCell<Dialer>>,
    requests: Rc<RefCell<mpsc::UnboundedReceiver<ConnectRequest>>>,
    down: Rc<RefCell<Down>>,
) {
    let mut making = FuturesUnordered::new();
    let mut waiting: VecDeque<ConnectRequest> = VecDeque::new();
    let mut spare: Option<(Stream, Instant)> = None;
    loop {
        tokio::select! {
            request = poll_fn(|cx| requests.borrow_mut().poll_recv(cx)) => {
                let Some(request) = request else { return };
                let refusal = down.borrow().refusal();
                if let Some(why) = refusal {
                    // A lookup that gave up does not hear it.
                    drop(request.answer.send(Err(why)));
                    continue;
                }
                let url = request.url.clone();
                waiting.retain(|other| !other.answer.is_closed());
                waiting.push_back(request);
                match spare.take() {
                    Some((stream, since)) if since.elapsed() < SPARE_AGE_MAX => {
                        spare = give(Ok(stream), &mut waiting);
                    }
                    _ if making.len() < waiting.len() => {
                        down.borrow_mut().begins();
                        making.push(caught(dialer.borrow_mut().connect(url)));
                    }
                    _ => {}
                }
            }
            Some(made) = making.next(), if !making.is_empty() => {
                down.borrow_mut().note(made.as_ref().err());
                spare = give(made, &mut waiting).or(spare);
            }
        }
    }
}

/// A panic of what makes a connection is a failure to make it.
async fn caught(making: impl Future<Output = Result<Stream, Failure>>) -> Result<Stream, Failure> {
    let made = Panics::default().catch(making).await;
    made.unwrap_or_else(|panic| Err(io::Error::other(panic).into()))
}

/// Gives a connection to the first lookup that still waits. Returns it if there is none.
fn give(
    mut made: Result<Stream, Failure>,
    waiting: &mut VecDeque<ConnectRequest>,
) -> Option<(Stream, Instant)> {
    while let Some(request) = waiting.pop_front() {
        match request.answer.send(made) {
            Ok(()) => return None,
            Err(back) => made = back,
        }
    }
    Some((made.ok()?, Instant::now()))
}
