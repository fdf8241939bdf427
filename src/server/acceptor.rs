//! Accepts the connections of all listeners, and places each on a loop.
//!
//! With one loop, this runs on it. With several it has a thread of its own, so that the work of one loop does not keep
//! connections from the others. If every loop is full, additional connections are closed immediately instead of letting
//! them hang.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::accept_backoff::AcceptBackoff;
use super::incoming::{Queue, Socket, Stream, is_end};
use super::shares::{Place, Shares};
use super::socket::{BACKLOG, ListeningSocket};
use crate::metrics::{AcceptMetrics, Metrics};

/// How long TCP handshakes may take that have begun when a port takes no further connections: longer than a round trip
/// within a data centre. It is short because clients that connect in that time are refused only a second later.
const HANDSHAKE: Duration = Duration::from_millis(2);

/// Accepts for all loops.
pub(super) struct Acceptor {
    /// Each listener, in the configuration's order.
    pub(super) listeners: Vec<Listening>,
    pub(super) shares: Arc<Shares>,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
}

/// A listener whose socket is open.
pub(super) struct Listening {
    pub(super) socket: ListeningSocket,
    /// For the log.
    pub(super) address: String,
    /// The service manager keeps it for the next server, and with it the connections that wait.
    pub(super) is_inherited: bool,
}

/// What the listeners have in common while they accept.
struct Accepting<H> {
    shares: Arc<Shares>,
    shutdown: CancellationToken,
    metrics: AcceptMetrics,
    hand: H,
}

/// One listener that accepts.
struct Port {
    socket: Socket,
    gate: Gate,
    is_inherited: bool,
}

/// Where the connections of one listener come in.
struct Gate {
    listener: usize,
    /// For the log.
    address: String,
    backoff: AcceptBackoff,
}

impl Acceptor {
    /// Accepts until the shutdown, then also what the kernel has accepted by then, and stops listening. `hand` gets each
    /// connection that has a place, and the index of its listener.
    pub(super) async fn run(self, hand: impl Fn(usize, Stream, Place)) -> io::Result<()> {
        let accepting = Accepting {
            shares: self.shares,
            shutdown: self.shutdown,
            metrics: AcceptMetrics::new(&self.metrics),
            hand,
        };
        let listeners = self.listeners.into_iter().enumerate();
        let ports = listeners.map(|(listener, of)| {
            Ok(Port {
                socket: Socket::new(of.socket)?,
                gate: Gate {
                    listener,
                    address: of.address,
                    backoff: AcceptBackoff::default(),
                },
                is_inherited: of.is_inherited,
            })
        });
        let ports: Vec<Port> = ports.collect::<io::Result<_>>()?;
        join_all(ports.into_iter().map(|port| port.accept(&accepting))).await;
        info!(open = accepting.shares.open(), "draining");
        Ok(())
    }
}

impl Port {
    async fn accept<H: Fn(usize, Stream, Place)>(self, accepting: &Accepting<H>) {
        let Port {
            socket,
            mut gate,
            is_inherited,
        } = self;
        let shutdown = &accepting.shutdown;
        while let Some(accepted) = shutdown.run_until_cancelled(socket.accept()).await {
            match accepted {
                Ok(stream) => gate.place(stream, accepting).await,
                Err(err) => {
                    accepting.metrics.failed();
                    let failed = gate.backoff.failed(&err);
                    shutdown.run_until_cancelled(failed).await;
                }
            }
        }
        if is_inherited {
            return;
        }
        // Connections that wait in the kernel's queue may have sent calls already, and closing the socket would reset them.
        let Ok(waiting) = socket.into_queue() else {
            return;
        };
        gate.place_all(&waiting, accepting).await;
        // Some may have come between the last of these and now, and more would come until the socket is closed.
        waiting.refuse_further();
        sleep(HANDSHAKE).await;
        gate.place_all(&waiting, accepting).await;
    }
}

impl Gate {
    /// Places what waits.
    async fn place_all<H: Fn(usize, Stream, Place)>(
        &mut self,
        waiting: &Queue,
        accepting: &Accepting<H>,
    ) {
        for _ in 0..=BACKLOG {
            match waiting.accept() {
                Ok(stream) => self.place(stream, accepting).await,
                Err(err) if is_end(&err) => return,
                // That connection ended before it was accepted, or there is no descriptor for it.
                Err(_) => accepting.metrics.failed(),
            }
        }
    }

    /// Hands a connection to a loop, or closes it if all of them have too many.
    async fn place<H: Fn(usize, Stream, Place)>(
        &mut self,
        stream: Stream,
        accepting: &Accepting<H>,
    ) {
        accepting.metrics.accepted();
        match accepting.shares.place(self.listener) {
            Ok(place) => (accepting.hand)(self.listener, stream, place),
            Err(limit) => {
                let whose = (stream.remote(), &*self.address);
                self.backoff.refused(whose, limit);
                accepting.metrics.refused();
            }
        }
        self.backoff.accepted().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test(flavor = "local")]
    async fn eight_connections_are_two_for_each_of_four_loops() {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
        port.set_nonblocking(true).expect("a socket");
        let addr = port.local_addr().expect("a socket");
        let shutdown = CancellationToken::new();
        let acceptor = Acceptor {
            listeners: vec![Listening {
                socket: ListeningSocket::Tcp(port),
                address: addr.to_string(),
                is_inherited: false,
            }],
            shares: Shares::new(4, 100, vec![100]),
            shutdown: shutdown.clone(),
            metrics: Metrics::new(4, shutdown.clone()),
        };
        let clients: Vec<_> = (0..8).map(|_| TcpStream::connect(addr)).collect();
        let open = RefCell::new(Vec::new());
        let hand = |_listener, stream, place: Place| {
            open.borrow_mut().push((place.at(), stream, place));
            if open.borrow().len() == clients.len() {
                shutdown.cancel();
            }
        };
        acceptor.run(hand).await.expect("a runtime");
        let mut loops: Vec<usize> = open.borrow().iter().map(|(at, ..)| *at).collect();
        loops.sort_unstable();
        assert_eq!(loops, [0, 0, 1, 1, 2, 2, 3, 3]);
    }
}
