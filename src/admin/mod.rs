//! Answers operators over HTTP, on its own thread, so that it answers while a loop is busy.
//!
//! - `GET /livez`: 200 while every loop's last heartbeat is younger than ten seconds, otherwise 503; a line per loop
//! - `GET /readyz`: 200 once every loop takes calls, until the server is asked to stop; otherwise 503
//! - `GET /metrics`: all metrics, in the text format of `OpenMetrics`
//! - `POST /cache/purge`: removes cached answers on all loops
//! - `GET /`: this list
//!
//! HEAD works like GET; other methods get 405, other paths 404. Few connections at a time, one request each, a few seconds
//! each: clients of this port can't use much of the machine. Some descriptors are reserved, so that it answers when the
//! process has no others.

mod routes;
mod purge;
mod fd_reserve;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::metrics::Metrics;
use crate::supervise::supervise;
use fd_reserve::FdReserve;
pub use purge::Purging;

/// Additional connections are closed immediately.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may take from its first byte to its last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// The limit of a request's line and headers, the smallest that the library allows.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The limit of headers per request.
const HEADERS_MAX: usize = 32;
/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The admin port. Dropping it closes the port and ends its thread.
#[derive(Debug)]
pub struct Admin {
    addr: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Starts answering on `socket`, which is non-blocking.
    pub fn start(socket: TcpListener, metrics: Arc<Metrics>, purging: Purging) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let purging = Arc::new(purging);
        let thread = std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                let served = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                    .map(|runtime| {
                        runtime.block_on(async move {
                            let serving = supervise("admin port", move || {
                                let socket = socket.try_clone();
                                let stopped = stopped.clone();
                                let shown = (Arc::clone(&metrics), Arc::clone(&purging));
                                async move {
                                    let served = async { serve(socket?, shown, stopped).await };
                                    if let Err(err) = served.await {
                                        warn!(error = %err, "the admin port does not answer");
                                    }
                                }
                            });
                            drop(serving.await);
                        });
                    });
                if let Err(err) = served {
                    warn!(error = %err, "the admin port does not answer");
                }
            })?;
        Ok(Admin {
            addr,
            stop,
            thread: Some(thread),
        })
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(Err(_panic)) = self.thread.take().map(JoinHandle::join) {
            warn!("the admin port's thread panicked");
        }
    }
}

async fn serve(
    socket: TcpListener,
    (metrics, purging): (Arc<Metrics>, Arc<Purging>),
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let connections = TaskTracker::new();
    let reserve = Rc::new(FdReserve::default());
    reserve.refill();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                let answered = answer(stream, Arc::clone(&metrics), Arc::clone(&purging));
                let reserve = Rc::clone(&reserve);
                connections.spawn_local(async move {
                    answered.await;
                    // Before anything else takes the descriptor that is free now.
                    reserve.refill();
                });
            }
            Ok((_, peer)) => debug!(%peer, "too many connections to the admin port"),
            // The next attempt uses the descriptor.
            Err(_) if reserve.release() => {}
            Err(err) => {
                debug!(error = %err, "can't accept a connection to the admin port");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                reserve.refill();
            }
        }
    }
    Ok(())
}

/// One request, one answer.
async fn answer(stream: TcpStream, metrics: Arc<Metrics>, purging: Arc<Purging>) {
    let service = service_fn(async |request: Request<Incoming>| {
        let (method, uri) = (request.method(), request.uri());
        Ok::<_, Infallible>(if uri.path() == purge::PATH {
            purge::answer(method, (uri.query(), request.headers()), &purging).await
        } else {
            routes::answer(method, uri.path(), &metrics)
        })
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => debug!(error = %err, "a connection to the admin port failed"),
        Err(_elapsed) => debug!("a connection to the admin port took too long"),
    }
}
