//! One worker: an event loop with its backends, which serves until the shutdown and then drains.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::info;

use super::disconnect_log::DisconnectLog;
use super::drained::Drained;
use super::listener::Listener;
use super::placing::Incoming;
use super::reload::Served;
use super::signals::Watcher;
use super::state::WorkerState;
use super::tls::Tls;
use crate::config::{Endpoint, LimitsConfig, ListenerConfig};
use crate::guard::{BLOCKING_MAX, PurgeReceiver};
use crate::metrics::{LoopMetrics, Metrics};
use crate::random::Random;
use crate::service::{Current, MemoryPool, Overload, Service, TrialReceiver, Trials};
use crate::supervise::supervise;

/// How much of `drain_timeout` is kept for telling clients that their calls were cut off.
const LAST_REPLIES_MAX: Duration = Duration::from_secs(1);

/// Where one loop gets what the admin port asks for: to remove cached answers, and to make calls.
pub(super) type Requests = (PurgeReceiver, TrialReceiver);

/// One worker: a thread with an event loop.
pub(super) struct Worker {
    pub(super) at: usize,
    pub(super) metrics: Arc<Metrics>,
    /// The addresses of the listeners, in the configuration's order.
    pub(super) addresses: Arc<[String]>,
    pub(super) incoming: Incoming,
    pub(super) requests: Requests,
    /// The limit for all its listeners together.
    pub(super) connections_max: usize,
    /// Receives reloaded programs.
    pub(super) programs: watch::Receiver<Arc<Served>>,
    pub(super) shutdown: CancellationToken,
    /// Cancelled before `shutdown`: the server was asked to stop.
    pub(super) stopping: CancellationToken,
    /// Nothing is ever sent. When it is dropped, the loop has ended.
    pub(super) _running: mpsc::Sender<Infallible>,
}

impl Worker {
    /// Runs the loop. The loop of the first worker also watches for signals, until all loops have ended.
    pub(super) fn run(
        self,
        runtime: LocalRuntime,
        watching: Option<(Watcher, mpsc::Receiver<Infallible>)>,
    ) -> io::Result<Drained> {
        let result = runtime.block_on(async move {
            let watching = watching.map(|(watcher, all_ended)| {
                let watcher = Rc::new(watcher);
                let task = supervise("signals", move || Rc::clone(&watcher).watch());
                (task, all_ended)
            });
            let result = self.serve().await;
            if let Some((watching, mut all_ended)) = watching {
                // Until then a second signal abandons the calls of every loop.
                let _ended = all_ended.recv().await;
                drop(watching);
            }
            result
        });
        // Abandoned blocking lookups must not keep the process from ending.
        runtime.shutdown_background();
        result
    }

    async fn serve(mut self) -> io::Result<Drained> {
        let program = Arc::clone(&self.programs.borrow_and_update().program);
        let limits = program.limits;
        let metrics = LoopMetrics::new(&self.metrics, self.at);
        let overload = Rc::new(Overload::default());
        let _pulse = start_pulse(&metrics, &overload);
        let memory_pool = MemoryPool::new(&limits, &metrics);
        let ticking = Rc::clone(&memory_pool);
        let _ticks = supervise("ticks", move || {
            let ticking = Rc::clone(&ticking);
            async move { ticking.coop().tick().await }
        });
        let service = Service::open(
            Arc::clone(&program),
            limits,
            Random::from_process(),
            &metrics,
            None,
        )
        .await;
        let current = Current::new(service);
        let pairs = self.addresses.iter().zip(&program.listeners);
        let listeners: Vec<Listener> = pairs
            .map(|(address, config)| Listener::new(address, config, limits))
            .collect();
        let renewing = renewing(&listeners, &program.listeners);
        // It ends with its last call, however long the loop lives.
        drop(program);
        let reloader = Reloader {
            current: Rc::clone(&current),
            metrics: Rc::clone(&metrics),
            limits,
            renewing,
        };
        let reloading = reloader.start(self.programs.clone());
        let _purging = start_purging(self.requests.0, &current);
        let _trying = start_trials(self.requests.1, Trials::new(&current, &memory_pool));
        metrics.heart.accepts();
        let worker = Rc::new(WorkerState {
            current,
            shutdown: self.shutdown,
            stopping: self.stopping,
            drain_is_over: CancellationToken::new(),
            memory_pool,
            metrics,
            overload,
            connections_max: self.connections_max,
            handshakes: Semaphore::new(limits.handshakes_max),
            programs: self.programs.clone(),
            disconnect_log: DisconnectLog::default(),
            random: RefCell::new(Random::from_process()),
        });
        let since = async {
            worker.shutdown.cancelled().await;
            Instant::now()
        };
        let connections = TaskTracker::new();
        let open = |listener: usize, stream, place| {
            listeners[listener].serve((stream, place), &connections, &worker);
        };
        let (accepted, since) = tokio::join!(self.incoming.open_all(open), since);
        accepted?;
        drop(reloading);
        connections.close();
        let calls_cut_off = drain(&worker, &connections).await;
        Ok(Drained {
            took: since.elapsed(),
            calls_cut_off,
            open: connections.len(),
        })
    }
}

/// Waits for the connections to end. Returns how many calls took longer than the drain.
async fn drain(worker: &WorkerState, connections: &TaskTracker) -> usize {
    let drain_timeout = worker.programs.borrow().program.drain_timeout;
    let last_replies = LAST_REPLIES_MAX.min(drain_timeout / 10);
    let in_time = drain_timeout.saturating_sub(last_replies);
    if timeout(in_time, connections.wait()).await.is_ok() {
        return 0;
    }
    let calls_cut_off = worker.metrics.calls_in_flight.get();
    worker.end_drain();
    let _ended = timeout(last_replies, connections.wait()).await;
    calls_cut_off
}

fn start_pulse(metrics: &Rc<LoopMetrics>, overload: &Rc<Overload>) -> AbortOnDropHandle<()> {
    let (metrics, overload) = (Rc::clone(metrics), Rc::clone(overload));
    supervise("pulse", move || {
        let overload = Rc::clone(&overload);
        Rc::clone(&metrics).pulse(move |beat| overload.beat(beat))
    })
}

fn start_purging(requests: PurgeReceiver, current: &Rc<Current>) -> AbortOnDropHandle<()> {
    let (requests, current) = (Rc::new(RefCell::new(requests)), Rc::clone(current));
    supervise("purges", move || {
        purge(Rc::clone(&requests), Rc::clone(&current))
    })
}

fn start_trials(requests: TrialReceiver, trials: Trials) -> AbortOnDropHandle<()> {
    let (requests, trials) = (Rc::new(RefCell::new(requests)), Rc::new(trials));
    supervise("trials", move || {
        let (requests, trials) = (Rc::clone(&requests), Rc::clone(&trials));
        async move { trials.serve(&requests).await }
    })
}

/// Removes cached answers whenever an operator asks for it.
async fn purge(requests: Rc<RefCell<PurgeReceiver>>, current: Rc<Current>) {
    while let Some(request) = poll_fn(|cx| requests.borrow_mut().poll_recv(cx)).await {
        let purged = current.get().purge(&request.purge);
        if let Ok(entries) = purged {
            info!(
                entries,
                lookup = request.purge.lookup,
                "cached answers removed"
            );
        }
        // The caller may no longer wait for the answer.
        drop(request.purged.send(purged));
    }
}

/// Replaces what a reload may replace.
struct Reloader {
    current: Rc<Current>,
    metrics: Rc<LoopMetrics>,
    limits: LimitsConfig,
    renewing: Vec<(Endpoint, Rc<Tls>)>,
}

impl Reloader {
    fn start(self, programs: watch::Receiver<Arc<Served>>) -> AbortOnDropHandle<()> {
        let reloader = Rc::new(self);
        supervise("reloads", move || {
            Rc::clone(&reloader).run(programs.clone())
        })
    }

    /// Serves each program that comes, until no more can come.
    async fn run(self: Rc<Self>, mut programs: watch::Receiver<Arc<Served>>) {
        while programs.changed().await.is_ok() {
            let served = Arc::clone(&programs.borrow_and_update());
            let before = self.current.get();
            let service = Service::open(
                Arc::clone(&served.program),
                self.limits,
                Random::from_process(),
                &self.metrics,
                Some(&before),
            )
            .await;
            self.current.replace(service);
            renew(&self.renewing, &served.program.listeners);
            served.adopted();
        }
    }
}

/// What a reload may replace: the TLS settings of listeners that have them.
fn renewing(listeners: &[Listener], configs: &[ListenerConfig]) -> Vec<(Endpoint, Rc<Tls>)> {
    let pairs = listeners.iter().zip(configs);
    pairs
        .filter_map(|(listener, config)| Some((config.endpoint.clone(), listener.tls()?)))
        .collect()
}

fn renew(renewing: &[(Endpoint, Rc<Tls>)], configs: &[ListenerConfig]) {
    for (endpoint, tls) in renewing {
        // Switching TLS on or off takes effect at the next start, as does a new address.
        let mut same = configs.iter().filter(|config| config.endpoint == *endpoint);
        if let Some(now) = same.find_map(|config| config.tls.as_ref()) {
            tls.replace(now);
        }
    }
}

/// The runtime of one loop, to be made on its thread.
pub(super) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        // For blocking closures and name resolution.
        .max_blocking_threads(BLOCKING_MAX + 4)
        .build_local(LocalOptions::default())
}
