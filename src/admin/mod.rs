//! Answers operators over HTTP, with TLS or without, on its own thread, so that it answers while a loop is busy.
//!
//! - `GET /livez`: 200 while every loop's last heartbeat is younger than ten seconds, otherwise 503; a line per loop
//! - `GET /readyz`: 200 once every loop takes calls, until the server is asked to stop; otherwise 503, also while it
//!   refuses too many calls
//! - `GET /metrics`: all metrics, in the text format of `OpenMetrics`
//! - `GET /calls`, `/calls/ID`: calls that ended, with what happened in them; `GET /gains`: what decided how long they took
//! - `GET /now`: the present numbers
//! - `GET /config`: every value of the configuration, without secrets
//! - `GET /events`: what happens, once a second, as server-sent events
//! - `POST /cache/purge`: removes cached answers on all loops
//! - `GET /try`, `POST /try`: a form of a method, and a call of it
//! - `GET /manual/`: the manual
//! - `GET /`: this list; for a browser, a page that shows what happens
//!
//! HEAD works like GET; other methods get 405, other paths 404. Few connections at a time, one request each, a few seconds
//! each, except those that hear events: clients of this port can't use much of the machine. Some descriptors are reserved,
//! so that it answers when the process has no others.

mod routes;
mod access; // who may read what
mod tls; // handshakes
mod calls; // that are kept
mod now; // the present numbers
mod call_json;
mod events; // once a second
mod pages; // for browsers
mod purge;
mod trial; // makes calls
mod scrape;
mod query; // of a URL
mod refusals; // whether too many calls are refused
mod response;
mod body;
mod fd_reserve;
mod connections; // and which of them makes room

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config::{AdminToken, UnreadyRefusals};
use crate::metrics::Metrics;
use crate::supervise::supervise;
pub use access::Permission;
use access::{Access, Shows, Via};
use body::Answer;
use connections::{Connections, Place, Stage};
use events::Events;
use fd_reserve::FdReserve;
pub use purge::Purging;
use routes::{Asked, Route};
use tls::Handshakes;
pub use tls::Tls;
pub use trial::Trying;

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
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What the port may do, and for whom.
#[derive(Debug)]
pub struct Allowed {
    /// How it removes cached answers.
    pub purging: Purging,
    /// How it makes calls.
    pub trying: Trying,
    /// What its clients present.
    pub token: Option<AdminToken>,
    /// The TLS settings of the port, if it speaks TLS.
    pub tls: Option<Arc<Tls>>,
}

impl Admin {
    /// Starts answering on `socket`, which is non-blocking.
    pub fn start(
        socket: TcpListener,
        metrics: Arc<Metrics>,
        allowed: Allowed,
        unready: Option<UnreadyRefusals>,
    ) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let tls = allowed.tls.clone();
        let access = Access {
            token: allowed.token,
            is_local: addr.ip().is_loopback(),
        };
        let shown = Shown {
            metrics,
            purging: Arc::new(allowed.purging),
            trying: Arc::new(allowed.trying),
            access,
            tls: allowed.tls,
        };
        let thread = std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                let served = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                    .map(|runtime| {
                        runtime.block_on(async move {
                            let watched = Arc::clone(&shown.metrics);
                            let _watching = unready.map(|config| {
                                supervise("refusals", move || {
                                    refusals::watch(config, Arc::clone(&watched))
                                })
                            });
                            let serving = supervise("admin port", move || {
                                let socket = socket.try_clone();
                                let stopped = stopped.clone();
                                let shown = shown.clone();
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
            tls,
            stop,
            thread: Some(thread),
        })
    }

    /// Its TLS settings, for a reload to replace.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
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

/// What the port shows, and to whom.
#[derive(Clone, Debug)]
struct Shown {
    metrics: Arc<Metrics>,
    purging: Arc<Purging>,
    trying: Arc<Trying>,
    access: Access,
    tls: Option<Arc<Tls>>,
}

/// What the connections share.
struct Serving {
    shown: Shown,
    events: Rc<Events>,
    handshakes: Handshakes,
}

async fn serve(socket: TcpListener, shown: Shown, stop: CancellationToken) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let events = Rc::new(Events::default());
    let _sending = supervise("admin events", {
        let (events, metrics) = (Rc::clone(&events), Arc::clone(&shown.metrics));
        move || Rc::clone(&events).send(Arc::clone(&metrics))
    });
    let handshakes = Handshakes::new(shown.tls.clone());
    let serving = Rc::new(Serving {
        shown,
        events,
        handshakes,
    });
    let connections = Rc::new(Connections::default());
    let tasks = TaskTracker::new();
    let reserve = Rc::new(FdReserve::default());
    reserve.refill();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok(accepted) => {
                let place = connections.admit();
                let answered = serve_one(accepted, Rc::clone(&serving), place);
                let reserve = Rc::clone(&reserve);
                tasks.spawn_local(async move {
                    answered.await;
                    // Before anything else takes the descriptor that is free now.
                    reserve.refill();
                });
                // A request that has arrived is read before further connections can take its place.
                tokio::task::yield_now().await;
            }
            // The next attempt uses the descriptor.
            Err(_) if reserve.release() => {}
            Err(err) => {
                debug!(error = %err, "can't accept a connection to the admin port");
                connections.free_descriptor();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                reserve.refill();
            }
        }
    }
    Ok(())
}

/// Until when a connection may take longer than others.
enum Until {
    /// Until this is cancelled: it hears events.
    Cancelled(CancellationToken),
    /// For so long: a call is made for it.
    Over(Duration),
}

/// One connection, until it ends or has to make room.
async fn serve_one(accepted: (TcpStream, SocketAddr), serving: Rc<Serving>, place: Place) {
    let answered = answer_one(accepted, &serving, &place.stage);
    if place.end.run_until_cancelled(answered).await.is_none() {
        debug!("a connection to the admin port made room for another");
    }
}

/// One handshake, if the port speaks TLS, one request, one answer. Only one that goes on for as long as its client listens,
/// or for which a call is made, takes longer than the timeout.
async fn answer_one(accepted: (TcpStream, SocketAddr), serving: &Serving, stage: &Cell<Stage>) {
    let end = Instant::now() + CONNECTION_TIMEOUT;
    let opened = timeout_at(end, serving.handshakes.open(accepted)).await;
    let (stream, via) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return,
        Err(_elapsed) => return debug!("a connection to the admin port took too long"),
    };
    let until = RefCell::new(None);
    let service = service_fn(async |request: Request<Incoming>| {
        stage.set(stage_of(&request));
        let response = answer(request, serving, via, &until).await;
        let hears = matches!(&*until.borrow(), Some(Until::Cancelled(_)));
        stage.set(if hears { Stage::Held } else { Stage::Answering });
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut ended = timeout_at(end, connection.as_mut()).await.ok();
    let until = until.take();
    if ended.is_none() {
        ended = match until {
            Some(Until::Cancelled(end)) => end.run_until_cancelled(connection).await,
            Some(Until::Over(time)) => timeout(time, connection).await.ok(),
            None => None,
        };
    }
    match ended {
        Some(Ok(())) => {}
        Some(Err(err)) => debug!(error = %err, "a connection to the admin port failed"),
        None => debug!("a connection to the admin port took too long"),
    }
}

/// The stage of a connection with this request until its response is made.
fn stage_of<B>(request: &Request<B>) -> Stage {
    match request.uri().path() {
        // Only this one has a body that is read, and few of them at a time.
        trial::PATH if *request.method() == Method::POST => Stage::Held,
        _ => Stage::Answering,
    }
}

/// The answer to a request. `until` gets until when it goes on, if it does.
async fn answer(
    request: Request<Incoming>,
    Serving { shown, events, .. }: &Serving,
    via: Via,
    until: &RefCell<Option<Until>>,
) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
    };
    let route = match asked.path {
        purge::PATH | events::PATH | trial::PATH => None,
        path => match Route::of(path) {
            Some(route) => Some(route),
            None => return routes::no_such_page(),
        },
    };
    let shows = match route {
        Some(route) => route.shows(),
        None if asked.path == purge::PATH => Shows::Numbers,
        None => Shows::Calls,
    };
    if let Err(why) = shown.access.check(shows, asked.headers, via) {
        return response::denied(why);
    }
    let with = (asked.query, asked.headers);
    match route {
        Some(route) => routes::answer(route, asked, &shown.metrics),
        None if asked.path == events::PATH => {
            let (response, end) = events.answer(asked.method);
            until.replace(end.map(Until::Cancelled));
            response
        }
        None if asked.path == trial::PATH => {
            until.replace(Some(Until::Over(trial::MORE_TIME)));
            trial::answer(asked.method, with, body, &shown.trying).await
        }
        None => purge::answer(asked.method, (Some(with.0), with.1), &shown.purging).await,
    }
}
