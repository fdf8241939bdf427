//! Opens the listening sockets and the admin port, and runs one worker per loop until all have ended.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::acceptor::{Acceptor, Listening};
use super::access_log::AccessLog;
use super::drained::Drained;
use super::inherited::Inherited;
use super::memory_fit::log_memory;
use super::options::{Bound, Options};
use super::periodic::Periodic;
use super::placing::{self, Placing};
use super::reload::{Reloader, Reloading, Served};
use super::reload_progress::ReloadProgress;
use super::service_manager::ServiceManager;
use super::shares::Shares;
use super::signals::{self, Signals, Watcher};
use super::socket::{Address, Opened, SocketFile};
use super::start_only::StartKeys;
use super::warnings::log_warnings;
use super::worker::{self, Requests, Worker};
use super::{descriptors, freed_memory, socket, watchdog};
use crate::admin::{Admin, Allowed, Permission, Purging, Tls, Trying};
use crate::config::ListenerConfig;
use crate::guard::purge_channel;
use crate::memory_limit;
use crate::metrics::Metrics;
use crate::program::Program;
use crate::recorder::{Outbox, Recorder, RecorderLimits, Sinks, Tally};
use crate::service::trial_channel;
use crate::traces::Exporter;

/// Serves until the shutdown, then drains. Fails if an address can't be bound. The admin port answers from before
/// the first call until after the last.
pub fn run(program: Arc<Program>, mut options: Options) -> io::Result<()> {
    if options.signals {
        // The whole process belongs to the server.
        descriptors::raise();
    }
    log_warnings(&program);
    log_memory(&program, memory_limit::of_process());
    let runtime = worker::runtime()?;
    let caught = if options.signals {
        runtime.block_on(async { signals::catch() })
    } else {
        None
    };
    let opened = open(&program, options.signals)?;
    let stopping = options.shutdown.child_token();
    let (sinks, sink_threads) = sinks(&program, options.log.take())?;
    let metrics = metrics(&program, stopping.clone(), sinks);
    let (admin, requests) = start_admin(&program, &metrics)?;
    let reloads = Arc::<ReloadProgress>::default();
    let _helpers = helpers(&options, &metrics, &reloads)?;
    let bound = bound(&program, &opened, admin.as_ref());
    let addresses = opened.iter().map(|opened| opened.address.to_string());
    let addresses: Arc<[String]> = addresses.collect();
    // The files are held to the end: dropping them removes those of Unix sockets.
    let (listeners, files): (Vec<_>, Vec<_>) = opened.into_iter().map(listening).unzip();
    let shares = shares(&program);
    let connections_max = shares.loop_max();
    let acceptor = Acceptor {
        listeners,
        shares,
        shutdown: options.shutdown.clone(),
        metrics: Arc::clone(&metrics),
    };
    let (incoming, placing) = placing::bring(acceptor, program.workers);
    let started = StartKeys::of(&program);
    let (sender, programs) = watch::channel(Served::new(program));
    let (running, all_ended) = mpsc::channel(1);
    let worker = |(at, (incoming, requests))| Worker {
        at,
        requests,
        metrics: Arc::clone(&metrics),
        addresses: Arc::clone(&addresses),
        incoming,
        connections_max,
        programs: programs.clone(),
        shutdown: options.shutdown.clone(),
        stopping: stopping.clone(),
        _running: running.clone(),
    };
    let of_workers = incoming.into_iter().zip(requests).enumerate();
    let workers: Vec<_> = of_workers.map(worker).collect();
    drop(running);
    let reloading = options.reload.take().map(|reload| Reloading {
        reload,
        programs: sender,
        started,
        metrics,
        admin_tls: admin.as_ref().and_then(Admin::tls),
        progress: reloads,
    });
    let signals = Signals {
        options,
        stopping,
        programs,
        reloader: reloading.map(Reloader::start).transpose()?,
        bound,
    };
    let watching = (Watcher::new(caught, signals), all_ended);
    let drained = run_all(runtime, (workers, placing), watching)?;
    // Before the last line of the log.
    drop((sink_threads, admin, files));
    drained.log();
    Ok(())
}

/// Where calls go that ended, and the threads to which they go, if there are any.
fn sinks(program: &Program, log: Option<Arc<Tally>>) -> io::Result<(Sinks, SinkThreads)> {
    let mut sinks = Sinks {
        kept: recorder(program),
        log,
        ..Sinks::default()
    };
    let mut threads = (None, None);
    if let Some(config) = &program.traces {
        let (outbox, calls) = Outbox::new(config.queue);
        let calls = (calls, Arc::clone(outbox.tally()));
        threads.0 = Some(Exporter::start(config, calls)?);
        sinks.traces = Some(outbox);
    }
    if let Some(config) = program.log.as_ref().and_then(|log| log.access.as_ref()) {
        let (outbox, entries) = Outbox::new(config.queue);
        let tally = Arc::clone(outbox.tally());
        threads.1 = Some(AccessLog::start(config, entries, tally)?);
        sinks.access = Some(outbox);
    }
    Ok((sinks, threads))
}

type SinkThreads = (Option<Exporter>, Option<AccessLog>);

fn metrics(program: &Program, stopping: CancellationToken, sinks: Sinks) -> Arc<Metrics> {
    let metrics = Metrics::recording(program.workers, stopping, sinks);
    metrics.config_was_loaded(&program.expiries, &program.effective);
    metrics
}

/// Threads that serve no calls. They end when they are dropped, in this order.
struct Helpers {
    _freed_memory: Option<Periodic>,
    _watchdog: Periodic,
}

fn helpers(
    options: &Options,
    metrics: &Arc<Metrics>,
    reloads: &Arc<ReloadProgress>,
) -> io::Result<Helpers> {
    // An embedded server is not what the process's manager waits for.
    let manager = options.signals.then(ServiceManager::of_process).flatten();
    Ok(Helpers {
        // The program that embeds a server chooses its allocator itself.
        _freed_memory: options.signals.then(freed_memory::start).transpose()?,
        _watchdog: watchdog::start(metrics, manager, Arc::clone(reloads))?,
    })
}

/// What keeps calls for the admin port.
fn recorder(program: &Program) -> Option<Arc<Recorder>> {
    let config = program.admin.as_ref()?;
    let limits = RecorderLimits {
        kept: config.calls_kept,
        per_second: config.calls_sampled,
        values: config.calls_values,
    };
    (limits.kept > 0).then(|| Recorder::new(limits, program.workers))
}

/// The admin port, if there is to be one, and where each loop hears from it.
fn start_admin(
    program: &Program,
    metrics: &Arc<Metrics>,
) -> io::Result<(Option<Admin>, Vec<Requests>)> {
    let loops = 0..program.workers;
    let (purging, purges): (Vec<_>, Vec<_>) = loops.clone().map(|_| purge_channel()).unzip();
    let (trying, trials): (Vec<_>, Vec<_>) = loops.map(|_| trial_channel()).unzip();
    let requests = purges.into_iter().zip(trials).collect();
    let Some(config) = &program.admin else {
        return Ok((None, requests));
    };
    let socket = socket::open_admin(&config.listen)?;
    let is_local = socket.local_addr()?.ip().is_loopback();
    let allowed = Allowed {
        purging: Purging {
            loops: purging,
            allowed: Permission::new(config.purge, is_local),
        },
        trying: Trying::new(trying, Permission::new(config.try_it, is_local)),
        token: config.token.clone(),
        tls: config.tls.as_ref().map(Tls::new),
    };
    let admin = Admin::start(
        socket,
        Arc::clone(metrics),
        allowed,
        config.unready_refusals,
    )?;
    Ok((Some(admin), requests))
}

fn bound(program: &Program, opened: &[Opened], admin: Option<&Admin>) -> Bound {
    Bound {
        listeners: opened.iter().map(|opened| opened.address.clone()).collect(),
        admin: admin.map(Admin::addr),
        workers: program.workers,
    }
}

/// How many connections the loops and listeners of `program` may have.
fn shares(program: &Program) -> Arc<Shares> {
    let loops = program.workers;
    let loop_max = descriptors::connections_max(program.limits.connections_max, loops);
    let listener_max = program.listeners.iter().map(|of| of.connections_max);
    Shares::new(loops, loop_max, listener_max.collect())
}

/// Opens every listener. Only if the process is the server's own, it asks what its service manager handed over when no
/// listener names that.
fn open(program: &Program, is_own: bool) -> io::Result<Vec<Opened>> {
    let silence = program.limits.write_timeout;
    let mut inherited = is_own.then(Inherited::of_process);
    let mut open = |listener: &ListenerConfig| {
        let table = &listener.table;
        let opened = socket::open(&listener.endpoint, table, silence, |name, silence| {
            let inherited = inherited.get_or_insert_with(Inherited::of_process);
            inherited.take(name, silence)
        })?;
        match &opened.address {
            Address::Unix(_) if listener.tls.is_some() => {
                let why = format!(
                    "`{table}.tls`: `{}` is a Unix socket, which has no TLS",
                    listener.endpoint
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, why))
            }
            _ => Ok(opened),
        }
    };
    let opened: Vec<_> = program
        .listeners
        .iter()
        .map(&mut open)
        .collect::<io::Result<_>>()?;
    for name in inherited.iter().flat_map(Inherited::left) {
        warn!(
            name,
            "no listener takes a socket of the service manager: `listen = \"systemd:NAME\"` does"
        );
    }
    Ok(opened)
}

fn listening(opened: Opened) -> (Listening, Option<SocketFile>) {
    let listening = Listening {
        socket: opened.socket,
        address: opened.address.to_string(),
        is_inherited: opened.is_inherited,
    };
    (listening, opened.file)
}

/// Runs the first worker on this thread, and the others and what accepts for all of them on threads of their own. If one
/// can't start, all of them stop.
fn run_all(
    runtime: LocalRuntime,
    (workers, placing): (Vec<Worker>, Option<Placing>),
    watching: (Watcher, mpsc::Receiver<Infallible>),
) -> io::Result<Drained> {
    let shutdown = watching.0.shutdown().clone();
    std::thread::scope(|scope| {
        // A thread that still serves would never be joined.
        let _shutdown = shutdown.clone().drop_guard();
        let mut workers = workers.into_iter().enumerate();
        let first = workers.next();
        let mut threads = Vec::new();
        for (at, worker) in workers {
            let name = format!("worker-{at}");
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, {
                    let shutdown = shutdown.clone();
                    move || {
                        let _shutdown = shutdown.drop_guard();
                        worker.run(worker::runtime()?, None)
                    }
                })?;
            threads.push(thread);
        }
        let accepting = placing.map(|placing| {
            let shutdown = shutdown.clone();
            let thread = std::thread::Builder::new().name("accept".into());
            thread.spawn_scoped(scope, move || {
                let _shutdown = shutdown.drop_guard();
                placing.run(&worker::runtime()?)
            })
        });
        let accepting = accepting.transpose()?;
        let mut drained = match first {
            Some((_, worker)) => worker.run(runtime, Some(watching))?,
            None => Drained::default(),
        };
        for thread in threads {
            let of_thread = thread.join();
            let of_thread = of_thread.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            drained = drained.and(of_thread?);
        }
        if let Some(accepting) = accepting {
            let accepted = accepting.join();
            accepted.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(drained)
    })
}
