//! Binds the port and accepts connections; owns what all connections of a loop share.
//!
//! A full loop closes further connections at once rather than let them hang; an accept that fails for lack of
//! descriptors or memory waits before the next, since trying again at once would spin.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug_span, warn};

use super::connection;
use crate::config::LimitsConfig;
use crate::metrics::{Closed, LoopMetrics};
use crate::service::Current;

/// Connections that the kernel may hold for us.
const BACKLOG: i32 = 1024;
/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket of its own, which nobody else listens on.
pub(super) fn bind_one(listen: &str) -> io::Result<std::net::TcpListener> {
    let mut sockets = bind(listen, 1)?;
    sockets.pop().ok_or_else(|| io::ErrorKind::Other.into())
}

/// One listening socket per worker, all on one port: the kernel spreads connections among them.
pub(super) fn bind(listen: &str, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let cannot =
        |err: io::Error| io::Error::new(err.kind(), format!("can't listen on `{listen}`: {err}"));
    let mut addr = listen
        .to_socket_addrs()
        .map_err(cannot)?
        .next()
        .ok_or_else(|| cannot(io::ErrorKind::AddrNotAvailable.into()))?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = listen_on(addr, workers > 1).map_err(cannot)?;
        // Port 0 was a question; the others take the port that the first one got.
        addr = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn listen_on(addr: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the shutdown; gives back the connections that are still open.
pub(super) async fn accept(
    listener: TcpListener,
    current: Rc<Current>,
    limits: LimitsConfig,
    shutdown: &CancellationToken,
    metrics: &Rc<LoopMetrics>,
) -> TaskTracker {
    let connections = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(err) => {
                warn!(error = %err, "can't accept a connection");
                metrics.accept_errors.count(0);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        metrics.connections_accepted.count(0);
        if connections.len() >= limits.connections_max {
            warn!(%peer, limit = limits.connections_max, "too many connections: closed a new one");
            metrics.closed(Closed::Refused);
            continue;
        }
        let serving = connection::serve(
            stream,
            Rc::clone(&current),
            limits,
            shutdown.clone(),
            Rc::clone(metrics),
        );
        connections.spawn_local(serving.instrument(debug_span!("connection", %peer)));
    }
    connections
}
