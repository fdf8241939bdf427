//! Opens the listening sockets and the admin port, and runs one worker per loop until all have ended.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, watch};

use super::acceptor::Acceptor;
use super::drained::Drained;
use super::options::{Bound, Options};
use super::placing::{self, Placing};
use super::reload::{Reloader, Reloading, Served};
use super::shares::Shares;
use super::signals::{self, Signals, Watcher};
use super::socket::Opened;
use super::start_only::StartKeys;
use super::warnings::log_warnings;
use super::watchdog::Watchdog;
use super::worker::{self, Worker};
use super::{descriptors, socket};
use crate::admin::{Admin, Purging};
use crate::guard::{PurgeReceiver, purge_channel};
use crate::metrics::Metrics;
use crate::program::Program;

/// Serves until the shutdown, then drains. Fails if an address can't be bound. The admin port answers from before
/// the first call until after the last.
pub fn run(program: Arc<Program>, mut options: Options) -> io::Result<()> {
    if options.signals {
        // The whole process belongs to the server.
        descriptors::raise();
    }
    log_warnings(&program);
    let runtime = worker::runtime()?;
    let caught = if options.signals {
        runtime.block_on(async { signals::catch() })
    } else {
        None
    };
    let opened = open(&program)?;
    let stopping = options.shutdown.child_token();
    let metrics = Metrics::new(program.workers, stopping.clone());
    let (admin, purges) = start_admin(&program, &metrics)?;
    let _watchdog = Watchdog::start(&metrics)?;
    let bound = bound(&program, &opened, admin.as_ref());
    let addresses = opened.iter().map(|opened| opened.address.to_string());
    let addresses: Arc<[String]> = addresses.collect();
    // The files are held to the end: dropping them removes those of Unix sockets.
    let (sockets, files): (Vec<_>, Vec<_>) = opened
        .into_iter()
        .map(|opened| (opened.socket, opened.file))
        .unzip();
    let shares = shares(&program);
    let connections_max = shares.loop_max();
    let acceptor = Acceptor {
        listeners: sockets.into_iter().zip(addresses.to_vec()).collect(),
        shares,
        shutdown: options.shutdown.clone(),
        metrics: Arc::clone(&metrics),
    };
    let (incoming, placing) = placing::bring(acceptor, program.workers);
    let started = StartKeys::of(&program);
    let (sender, programs) = watch::channel(Served::new(program));
    let (running, all_ended) = mpsc::channel(1);
    let worker = |(at, (incoming, purges))| Worker {
        at,
        purges,
        metrics: Arc::clone(&metrics),
        addresses: Arc::clone(&addresses),
        incoming,
        connections_max,
        programs: programs.clone(),
        shutdown: options.shutdown.clone(),
        stopping: stopping.clone(),
        _running: running.clone(),
    };
    let of_workers = incoming.into_iter().zip(purges).enumerate();
    let workers: Vec<_> = of_workers.map(worker).collect();
    drop(running);
    let reload = options.reload.take();
    let reloading = reload.map(|reload| Reloading {
        reload,
        programs: sender,
        started,
        metrics,
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
    drop((admin, files));
    drained.log();
    Ok(())
}

/// The admin port, if there is to be one, and where each loop hears from it.
fn start_admin(
    program: &Program,
    metrics: &Arc<Metrics>,
) -> io::Result<(Option<Admin>, Vec<PurgeReceiver>)> {
    let purges = (0..program.workers).map(|_| purge_channel());
    let (loops, purges): (Vec<_>, Vec<_>) = purges.unzip();
    let Some(config) = &program.admin else {
        return Ok((None, purges));
    };
    let socket = socket::open_admin(&config.listen)?;
    let is_local = socket.local_addr()?.ip().is_loopback();
    let purging = Purging {
        loops,
        is_allowed: config.purge.unwrap_or(is_local),
    };
    let admin = Admin::start(socket, Arc::clone(metrics), purging)?;
    Ok((Some(admin), purges))
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

/// Opens every listener.
fn open(program: &Program) -> io::Result<Vec<Opened>> {
    let silence = program.limits.write_timeout;
    let listeners = program.listeners.iter();
    listeners
        .map(|listener| {
            let table = &listener.table;
            socket::open(&listener.endpoint, table, silence)
        })
        .collect()
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
