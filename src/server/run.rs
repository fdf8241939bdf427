//! Opens the listening sockets and the admin port, and runs one worker per loop until all have ended.

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::options::{Bound, Options};
use super::signals::{self, Signals};
use super::warnings::log_warnings;
use super::worker::{self, Worker};
use super::{descriptors, socket};
use crate::admin::Admin;
use crate::metrics::Metrics;
use crate::program::Program;

/// Serves until the shutdown, then drains. Fails if an address can't be bound. The admin port answers from before
/// the first call until after the last.
pub fn run(program: &Arc<Program>, options: Options) -> io::Result<()> {
    if options.signals {
        // The whole process belongs to the server.
        descriptors::raise();
    }
    log_warnings(program);
    let runtime = worker::runtime()?;
    let caught = if options.signals {
        runtime.block_on(async { signals::catch() })
    } else {
        None
    };
    let opened: io::Result<Vec<_>> = (program.listeners.iter())
        .map(|listener| {
            let silence = program.limits.write_timeout;
            socket::open(&listener.endpoint, program.workers, silence)
        })
        .collect();
    // Held to the end: dropping them removes the files of Unix sockets.
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
        workers: program.workers,
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
                .spawn_scoped(scope, move || worker.run(worker::runtime()?, None))?;
        }
        match first {
            Some((_, worker)) => {
                let signals = Signals {
                    caught,
                    options,
                    programs: sender,
                    started: Arc::clone(program),
                    bound,
                    metrics,
                };
                worker.run(runtime, Some((signals, all_ended)))
            }
            None => Ok(()),
        }
    })
}
