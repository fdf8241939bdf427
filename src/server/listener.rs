//! Accepts connections from a loop's listeners, and owns what all connections of a listener share.
//!
//! A full loop closes additional connections immediately instead of letting them hang.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug_span};

use super::accept_backoff::AcceptBackoff;
use super::client::{Client, Remote};
use super::connection;
use super::incoming::{Queue, Socket, Stream, is_end};
use super::socket::{BACKLOG, ListeningSocket};
use super::state::{ListenerSettings, WorkerState};
use super::tls::{Metered, Tls};
use crate::config::{LimitsConfig, ListenerConfig};
use crate::metrics::Closed;

/// How long TCP handshakes may take that have begun when a port takes no further connections: longer than a round trip
/// within a data centre. It is short because clients that connect in that time are refused only a second later.
const HANDSHAKE: Duration = Duration::from_millis(2);

/// One listener of a loop.
pub(super) struct Listener {
    socket: Socket,
    door: Door,
}

/// Where the connections of one listener come in.
struct Door {
    settings: Rc<ListenerSettings>,
    tls: Option<Rc<Tls>>,
    backoff: AcceptBackoff,
}

/// The open connections of a loop, by listener. A drain waits for them.
pub(super) struct Connections(Vec<TaskTracker>);

impl Listener {
    /// Listens on `socket` as configured by `config`; `limits` are those of the loop.
    pub(super) fn new(
        socket: ListeningSocket,
        config: &ListenerConfig,
        limits: LimitsConfig,
    ) -> io::Result<Self> {
        let (socket, listener) = match socket {
            ListeningSocket::Tcp(socket) => {
                let addr = socket.local_addr()?;
                (
                    Socket::Tcp(TcpListener::from_std(socket)?),
                    addr.to_string(),
                )
            }
            ListeningSocket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                let socket = UnixListener::from_std(socket)?;
                (Socket::Unix(socket), config.endpoint.to_string())
            }
        };
        let settings = ListenerSettings {
            listener,
            limits: LimitsConfig {
                connections_max: config.connections_max,
                idle_timeout: config.idle_timeout,
                ..limits
            },
            wire_formats: config.wire_formats,
            takes_tokens: config.takes_tokens(),
            meta: config.meta,
            service: config.service.as_ref().map(|(name, _)| Arc::from(&**name)),
        };
        Ok(Listener {
            socket,
            door: Door {
                settings: Rc::new(settings),
                tls: config.tls.as_ref().map(|tls| Rc::new(Tls::new(tls))),
                backoff: AcceptBackoff::default(),
            },
        })
    }

    /// Its TLS settings, for a reload to replace.
    pub(super) fn tls(&self) -> Option<Rc<Tls>> {
        self.door.tls.clone()
    }

    /// Accepts until the shutdown, then also what the kernel has accepted by then, and stops listening. It is the `at`th
    /// listener of the loop; all of them share the loop's limit.
    async fn accept(self, at: usize, all: &Connections, worker: &Rc<WorkerState>) {
        let Listener { socket, mut door } = self;
        let shutdown = &worker.shutdown;
        while let Some(accepted) = shutdown.run_until_cancelled(socket.accept()).await {
            match accepted {
                Ok(stream) => door.open(stream, (at, all), worker).await,
                Err(err) => {
                    worker.metrics.accept_errors.count_one();
                    shutdown
                        .run_until_cancelled(door.backoff.failed(&err))
                        .await;
                }
            }
        }
        // Connections that wait in the kernel's queue may have sent calls already, and closing the socket would reset them.
        let Ok(waiting) = socket.into_queue() else {
            return;
        };
        door.open_all(&waiting, (at, all), worker).await;
        // Some may have come between the last of these and now, and more would come until the socket is closed.
        waiting.refuse_further();
        sleep(HANDSHAKE).await;
        door.open_all(&waiting, (at, all), worker).await;
    }
}

impl Door {
    /// Lets a connection in, or closes it if there are too many.
    async fn open(
        &mut self,
        stream: Stream,
        (at, all): (usize, &Connections),
        worker: &Rc<WorkerState>,
    ) {
        let own = &all.0[at];
        let metrics = &worker.metrics;
        metrics.connections_accepted.count_one();
        let limits = [worker.connections_max, self.settings.limits.connections_max];
        if all.len() >= limits[0] || own.len() >= limits[1] {
            let limit = limits[0].min(limits[1]);
            let whose = (stream.remote(), &*self.settings.listener);
            self.backoff.refused(whose, limit);
            metrics.closed(Closed::Refused);
            drop(stream);
        } else {
            self.serve(stream, own, worker);
        }
        self.backoff.accepted().await;
    }

    /// Lets in what waits.
    async fn open_all(
        &mut self,
        waiting: &Queue,
        (at, all): (usize, &Connections),
        worker: &Rc<WorkerState>,
    ) {
        for _ in 0..=BACKLOG {
            match waiting.accept() {
                Ok(stream) => self.open(stream, (at, all), worker).await,
                Err(err) if is_end(&err) => return,
                // That connection ended before it was accepted, or there is no descriptor for it.
                Err(_) => worker.metrics.accept_errors.count_one(),
            }
        }
    }

    fn serve(&self, stream: Stream, connections: &TaskTracker, worker: &Rc<WorkerState>) {
        let remote = stream.remote();
        let span = debug_span!("connection", peer = %remote);
        let (settings, worker) = (Rc::clone(&self.settings), Rc::clone(worker));
        let tls = self.tls.clone();
        let serving = async move {
            let client = Client {
                names: Vec::new(),
                memory: worker.memory_pool.connection(),
            };
            match (stream, tls) {
                // Boxed, so that its state does not enlarge the futures of connections without TLS.
                (Stream::Tcp(stream, _), Some(tls)) => {
                    let stream = (stream, &*tls);
                    Box::pin(serve_encrypted(stream, client, remote, &settings, &worker)).await;
                }
                (Stream::Tcp(mut stream, _), None) => {
                    connection::serve(stream.split(), client, remote, &settings, &worker).await;
                }
                (Stream::Unix(mut stream), _) => {
                    connection::serve(stream.split(), client, remote, &settings, &worker).await;
                }
            }
        };
        connections.spawn_local(serving.instrument(span));
    }
}

async fn serve_encrypted(
    (stream, tls): (TcpStream, &Tls),
    mut client: Client,
    remote: Remote,
    settings: &ListenerSettings,
    worker: &WorkerState,
) {
    let stream = Metered::new(stream, &client.memory);
    let accepted = tls.accept(stream, remote, settings, worker);
    let drained = async {
        worker.shutdown.cancelled().await;
        sleep(worker.next_call()).await;
    };
    // A client that is still in the handshake has made no call: a drain does not wait for it for long.
    let stream = tokio::select! {
        biased;
        accepted = accepted => accepted,
        () = drained => return worker.metrics.closed(Closed::Drained),
    };
    let Some(stream) = stream else {
        return;
    };
    client.names = stream.names();
    let (mut reader, mut writer) = tokio::io::split(stream);
    connection::serve((&mut reader, &mut writer), client, remote, settings, worker).await;
    reader.unsplit(writer).send_close().await;
}

/// Accepts from all listeners of a loop until the shutdown; returns the connections that are still open.
pub(super) async fn accept(listeners: Vec<Listener>, worker: &Rc<WorkerState>) -> Connections {
    let connections = Connections(listeners.iter().map(|_| TaskTracker::new()).collect());
    let each = listeners.into_iter().enumerate();
    join_all(each.map(|(at, listener)| listener.accept(at, &connections, worker))).await;
    connections
}

impl Connections {
    /// The number of open connections.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(TaskTracker::len).sum()
    }

    /// Waits until the last one has ended.
    pub(super) async fn wait(&self) {
        for connections in &self.0 {
            connections.close();
            connections.wait().await;
        }
    }
}
