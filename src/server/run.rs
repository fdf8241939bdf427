//! Opens the listening sockets and the admin port, and runs one worker per loop until all have ended.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, watch};

use super::drained::Drained;
use super::options::{Bound, Options};
use super::reload::{Reloader, Reloading, Served};
use super::signals::{self, Signals, Watcher};
use super::socket::Opened;
use super::start_only::StartKeys;
use super::warnings::log_warnings;
use super::worker::{self, Worker};
use super::{descriptors, socket};
use crate::admin::Admin;
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
    // Held to the end: dropping them removes the files of Unix sockets.
    let mut opened = open(&program)?;
    let metrics = Metrics::new(program.workers, options.shutdown.clone());
    let admin = match &program.admin {
        Some(config) => {
            let socket = socket::open_admin(&config.listen)?;
            Some(Admin::start(socket, Arc::clone(&metrics))?)
        }
        None => None,
    };
    let bound = Bound {
        listeners: opened.iter().map(|opened| opened.address.clone()).collect(),
        admin: admin.as_ref().map(Admin::addr),
        workers: program.workers,
    };
    let started = StartKeys::of(&program);
    let count = program.workers;
    let (sender, programs) = watch::channel(Served::new(program, count));
    let (running, all_ended) = mpsc::channel(1);
    let workers: Vec<_> = (0..count)
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
    let reload = options.reload.take();
    let reloading = reload.map(|reload| Reloading {
        reload,
        programs: sender,
        started,
        metrics,
    });
    let signals = Signals {
        options,
        reloader: reloading.map(Reloader::start).transpose()?,
        bound,
    };
    let drained = run_all(runtime, workers, (Watcher::new(caught, signals), all_ended))?;
    // Before the last line of the log.
    drop((admin, opened));
    drained.log();
    Ok(())
}

/// The sockets of every listener.
fn open(program: &Program) -> io::Result<Vec<Opened>> {
    let silence = program.limits.write_timeout;
    let listeners = program.listeners.iter();
    listeners
        .map(|listener| {
            let table = &listener.table;
            socket::open(&listener.endpoint, table, program.workers, silence)
        })
        .collect()
}

/// Runs the first worker on this thread and the others on threads of their own. If one can't start, all of them stop.
fn run_all(
    runtime: LocalRuntime,
    workers: Vec<Worker>,
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
        let mut drained = match first {
            Some((_, worker)) => worker.run(runtime, Some(watching))?,
            None => Drained::default(),
        };
        for thread in threads {
            let of_thread = thread.join();
            let of_thread = of_thread.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            drained = drained.and(of_thread?);
        }
        Ok(drained)
    })
}
