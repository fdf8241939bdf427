//! Sockets: accepts connections, starts one loop per worker, drains and reloads.
//!
//! In: a checked [`Program`]. Each worker thread has its own single-threaded runtime, its own socket of each
//! listener and its own backends; they share the program and the stop signal. What a message
//! means is [`crate::service`]'s business.

mod accept_backoff;
mod disconnect_log;
mod connection;
mod descriptors;
mod embed;
mod listener;
mod signals;
mod socket;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::admin::Admin;
use crate::config::{Endpoint, LimitsConfig, ListenerConfig};
use crate::guard::BLOCKING_MAX;
use crate::metrics::{LoopMetrics, Metrics};
use crate::program::Program;
use crate::random::Random;
use crate::service::{Current, MemoryPool, Service};
use connection::WorkerState;
use disconnect_log::DisconnectLog;
use listener::Listener;
use signals::Signals;
use socket::ListeningSocket;
use tls::Tls;

pub use embed::{Running, Server, StartError};
pub use socket::Address;

/// Checks the configuration again; `None` when it has problems, which the closure reports itself.
pub type Reload = Box<dyn Fn() -> Option<Arc<Program>> + Send>;

/// How a server is run, beside its program.
pub struct Options {
    /// Ends the server: new connections are refused, calls in flight are finished.
    pub shutdown: CancellationToken,
    /// Stop on SIGTERM and SIGINT (a second one exits at once); reload on SIGHUP.
    pub signals: bool,
    /// What SIGHUP does.
    pub reload: Option<Reload>,
    /// Is told what is bound.
    pub bound: Box<dyn Fn(Bound) + Send>,
}

/// The addresses of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where clients connect, in the configuration's order.
    pub listeners: Vec<Address>,
    /// Where operators ask, if they may.
    pub admin: Option<SocketAddr>,
}

impl Bound {
    /// The first port that clients connect to, if there is one.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|address| match address {
            Address::Tcp(addr) => Some(*addr),
            Address::Unix(_) => None,
        })
    }

    /// Says all of it in the log.
    pub fn tell(self) {
        for addr in &self.listeners {
            info!(%addr, "listening");
        }
        if let Some(admin) = self.admin {
            info!(addr = %admin, port = "admin", "listening");
        }
    }
}

/// Serves until the shutdown, then drains. Fails when an address can't be bound. The admin port answers from
/// before the first call to after the last.
pub fn run(program: &Arc<Program>, options: Options) -> io::Result<()> {
    if options.signals {
        // The process is the server's own.
        descriptors::raise();
    }
    let opened: io::Result<Vec<_>> = (program.listeners.iter())
        .map(|listener| {
            let silence = program.limits.write_timeout;
            socket::open(&listener.endpoint, program.workers, silence)
        })
        .collect();
    // Held to the end, with the files of Unix sockets.
    let mut opened = opened?;
    let metrics = Metrics::new(program.workers, options.shutdown.clone());
    let admin = match &program.admin {
        Some(config) => {
            let socket = socket::open_port(&config.listen)?;
            Some(Admin::start(socket, Arc::clone(&metrics))?)
        }
        None => None,
    };
    let bound = Bound {
        listeners: opened.iter().map(|opened| opened.address.clone()).collect(),
        admin: admin.as_ref().map(Admin::addr),
    };
    let (sender, programs) = watch::channel(Arc::clone(program));
    let (running, all_ended) = mpsc::channel(1);
    let workers: Vec<_> = (0..program.workers)
        .map(|at| Worker {
            at,
            metrics: Arc::clone(&metrics),
            sockets: opened
                .iter_mut()
                .filter_map(|opened| opened.sockets.pop())
                .collect(),
            programs: programs.clone(),
            shutdown: options.shutdown.clone(),
            _running: running.clone(),
        })
        .collect();
    drop((programs, running));
    std::thread::scope(|scope| {
        let mut workers = workers.into_iter().enumerate();
        let first = workers.next();
        for (at, worker) in workers {
            let name = format!("worker-{at}");
            std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || worker.run(None))?;
        }
        match first {
            Some((_, worker)) => {
                let signals = Signals {
                    options,
                    programs: sender,
                    started: Arc::clone(program),
                    bound,
                    metrics,
                };
                worker.run(Some((signals, all_ended)))
            }
            None => Ok(()),
        }
    })
}

/// One loop.
struct Worker {
    at: usize,
    metrics: Arc<Metrics>,
    /// One of each listener, in their order.
    sockets: Vec<ListeningSocket>,
    programs: watch::Receiver<Arc<Program>>,
    shutdown: CancellationToken,
    /// Nothing is sent: it tells by its end that the loop has ended.
    _running: mpsc::Sender<Infallible>,
}

impl Worker {
    /// Runs the loop; the first worker's also watches the signals, until all loops have ended.
    fn run(self, signals: Option<(Signals, mpsc::Receiver<Infallible>)>) -> io::Result<()> {
        let runtime = runtime()?;
        let result = runtime.block_on(async move {
            let watching = signals.map(|(signals, all_ended)| {
                let watching = tokio::task::spawn_local(signals.watch());
                (watching, all_ended)
            });
            let result = self.serve().await;
            if let Some((watching, mut all_ended)) = watching {
                // A second signal gives up the calls of all of them.
                let _ended = all_ended.recv().await;
                watching.abort();
            }
            result
        });
        // Blocking lookups that nobody waits for any more must not hold the process up.
        runtime.shutdown_background();
        result
    }

    async fn serve(mut self) -> io::Result<()> {
        let program = Arc::clone(&self.programs.borrow_and_update());
        let drain_timeout = program.drain_timeout;
        let limits = program.limits;
        let metrics = LoopMetrics::new(&self.metrics, self.at);
        let _pulse = AbortOnDropHandle::new(tokio::task::spawn_local(Rc::clone(&metrics).pulse()));
        let memory_pool = MemoryPool::new(&limits, &metrics);
        let ticking = Rc::clone(&memory_pool);
        let _ticks = AbortOnDropHandle::new(tokio::task::spawn_local(async move {
            ticking.coop().tick().await;
        }));
        let service = Service::open(
            Arc::clone(&program),
            limits,
            Random::from_process(),
            &metrics,
        )
        .await;
        let current = Current::new(service);
        let listeners = listeners(self.sockets, &program.listeners, limits)?;
        let renewing = renewing(&listeners, &program.listeners);
        let reloading = tokio::task::spawn_local({
            let current = Rc::clone(&current);
            let metrics = Rc::clone(&metrics);
            async move {
                while self.programs.changed().await.is_ok() {
                    let program = Arc::clone(&self.programs.borrow_and_update());
                    let renewed = Arc::clone(&program);
                    let service =
                        Service::open(program, limits, Random::from_process(), &metrics).await;
                    current.replace(service);
                    renew(&renewing, &renewed.listeners);
                    info!("serving the reloaded configuration");
                }
            }
        });
        metrics.heart.accepts();
        let worker = Rc::new(WorkerState {
            current,
            shutdown: self.shutdown,
            memory_pool,
            metrics,
            connections_max: descriptors::connections_max(limits.connections_max, program.workers),
            handshakes: Semaphore::new(limits.handshakes_max),
            disconnect_log: DisconnectLog::default(),
        });
        let connections = listener::accept(listeners, &worker).await;
        reloading.abort();
        info!(open = connections.len(), "draining");
        let drained = tokio::time::timeout(drain_timeout, connections.wait());
        if drained.await.is_err() {
            warn!(open = connections.len(), "drain timed out");
        }
        Ok(())
    }
}

/// What a reload may replace: the `tls` of listeners that have it.
fn renewing(listeners: &[Listener], configs: &[ListenerConfig]) -> Vec<(Endpoint, Rc<Tls>)> {
    let pairs = listeners.iter().zip(configs);
    pairs
        .filter_map(|(listener, config)| Some((config.endpoint.clone(), listener.tls()?)))
        .collect()
}

fn renew(renewing: &[(Endpoint, Rc<Tls>)], configs: &[ListenerConfig]) {
    for (endpoint, tls) in renewing {
        // Whether there is TLS at all takes effect at the next start, as does where a listener listens.
        let mut same = configs.iter().filter(|config| config.endpoint == *endpoint);
        if let Some(now) = same.find_map(|config| config.tls.as_ref()) {
            tls.replace(now);
        }
    }
}

fn listeners(
    sockets: Vec<ListeningSocket>,
    configs: &[ListenerConfig],
    limits: LimitsConfig,
) -> io::Result<Vec<Listener>> {
    let pairs = sockets.into_iter().zip(configs);
    pairs
        .map(|(socket, config)| Listener::new(socket, config, limits))
        .collect()
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        // Blocking closures and name resolution.
        .max_blocking_threads(BLOCKING_MAX + 4)
        .build_local(LocalOptions::default())
}
