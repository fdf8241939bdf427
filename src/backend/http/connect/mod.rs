//! Makes the connections to an HTTP server: resolves the name, connects, and starts TLS where the URL says so.
//!
//! All of this happens within `connect_timeout`, in a separate task: if a lookup gives up, the connection that it waited
//! for is kept for the next one, so that a connection is made however short the lookups' deadlines are. A name that
//! resolves to a link-local address, where cloud services hand out credentials, is refused: changing a name must not be
//! enough to read them. An operator who wants such a server configures its address.

mod dial;
mod resolve;
mod stream;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
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
pub(super) use self::stream::Stream;
use super::config::Config;

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
    /// The connector, and the task that makes the connections.
    pub(super) fn start(config: &Config) -> (Self, AbortOnDropHandle<()>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        let making = serve_requests(Dialer::new(config), receiver);
        let task = AbortOnDropHandle::new(tokio::task::spawn_local(making));
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

/// Makes as many connections at a time as are waited for, and gives each to the lookup that has waited longest.
async fn serve_requests(mut dialer: Dialer, mut requests: mpsc::UnboundedReceiver<ConnectRequest>) {
    let mut making = FuturesUnordered::new();
    let mut waiting: VecDeque<ConnectRequest> = VecDeque::new();
    let mut spare: Option<(Stream, Instant)> = None;
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(request) = request else { return };
                let url = request.url.clone();
                waiting.retain(|other| !other.answer.is_closed());
                waiting.push_back(request);
                match spare.take() {
                    Some((stream, since)) if since.elapsed() < SPARE_AGE_MAX => {
                        spare = give(Ok(stream), &mut waiting);
                    }
                    _ if making.len() < waiting.len() => making.push(dialer.connect(url)),
                    _ => {}
                }
            }
            Some(made) = making.next(), if !making.is_empty() => {
                spare = give(made, &mut waiting).or(spare);
            }
        }
    }
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
