//! Sockets: accepts connections, starts one loop per worker, drains and reloads.
//!
//! In: a checked [`Program`]. Each worker thread has its own single-threaded runtime, its own listening socket
//! on the shared port and its own backends; they share the program and the stop signal. What a message
//! means is [`crate::service`]'s business.

mod connection;
mod embed;
mod listener;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::admin::Admin;
use crate::config::Program;
use crate::guard::{BLOCKING_MAX, Random};
use crate::metrics::{LoopMetrics, Metrics};
use crate::service::{Current, Service};
use signals::Signals;

pub use embed::{Running, Server, StartError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where clients connect.
    pub addr: SocketAddr,
    /// Where operators ask, if they may.
    pub admin: Option<SocketAddr>,
}

impl Bound {
    /// Says both in the log.
    pub fn tell(self) {
        info!(addr = %self.addr, "listening");
        if let Some(admin) = self.admin {
            info!(addr = %admin, port = "admin", "listening");
        }
    }
}

/// Serves until the shutdown, then drains. Fails when an address can't be bound. The admin port answers from
/// before the first call to after the last.
pub fn run(program: &Arc<Program>, options: Options) -> io::Result<()> {
    let sockets = listener::bind(&program.listen, program.workers)?;
    let addr = sockets[0].local_addr()?;
    let metrics = Metrics::new(program.workers, options.shutdown.clone());
    let admin = match &program.admin {
        Some(config) => {
            let socket = listener::bind_one(&config.listen)?;
            Some(Admin::start(socket, Arc::clone(&metrics))?)
        }
        None => None,
    };
    let bound = Bound {
        addr,
        admin: admin.as_ref().map(Admin::addr),
    };
    let (sender, programs) = watch::channel(Arc::clone(program));
    let workers: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(at, socket)| Worker {
            at,
            metrics: Arc::clone(&metrics),
            socket,
            programs: programs.clone(),
            shutdown: options.shutdown.clone(),
        })
        .collect();
    drop(programs);
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
            Some((_, worker)) => worker.run(Some(Signals {
                options,
                programs: sender,
                started: Arc::clone(program),
                bound,
                metrics,
            })),
            None => Ok(()),
        }
    })
}

/// One loop.
struct Worker {
    at: usize,
    metrics: Arc<Metrics>,
    socket: std::net::TcpListener,
    programs: watch::Receiver<Arc<Program>>,
    shutdown: CancellationToken,
}

impl Worker {
    /// Runs the loop; the first worker's also watches the signals.
    fn run(self, signals: Option<Signals>) -> io::Result<()> {
        let runtime = runtime()?;
        let result = runtime.block_on(async move {
            let watching = signals.map(|signals| tokio::task::spawn_local(signals.watch()));
            let result = self.serve().await;
            if let Some(watching) = watching {
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
        let service = Service::open(program, limits, Random::from_process(), &metrics).await;
        let current = Current::new(service);
        let reloading = tokio::task::spawn_local({
            let current = Rc::clone(&current);
            let metrics = Rc::clone(&metrics);
            async move {
                while self.programs.changed().await.is_ok() {
                    let program = Arc::clone(&self.programs.borrow_and_update());
                    let service =
                        Service::open(program, limits, Random::from_process(), &metrics).await;
                    current.replace(service);
                    info!("serving the reloaded configuration");
                }
            }
        });
        let listener = tokio::net::TcpListener::from_std(self.socket)?;
        metrics.heart.accepts();
        let connections =
            listener::accept(listener, current, limits, &self.shutdown, &metrics).await;
        reloading.abort();
        info!(open = connections.len(), "draining");
        connections.close();
        if tokio::time::timeout(drain_timeout, connections.wait())
            .await
            .is_err()
        {
            warn!(open = connections.len(), "drain timed out");
        }
        Ok(())
    }
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        // Blocking closures and name resolution.
        .max_blocking_threads(BLOCKING_MAX + 4)
        .build_local(LocalOptions::default())
}
