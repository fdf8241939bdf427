//! SIGTERM and SIGINT drain, a second one exits at once; SIGHUP reloads.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{Bound, Options};
use crate::metrics::{Counts, Metrics, Reloaded};
use crate::program::Program;

/// What signals act on.
pub(super) struct Signals {
    pub(super) options: Options,
    /// Takes a reloaded program to all workers.
    pub(super) programs: watch::Sender<Arc<Program>>,
    /// What the server was started with; what a reload can't change stays as it says.
    pub(super) started: Arc<Program>,
    /// Where the server listens.
    pub(super) bound: Bound,
    pub(super) metrics: Arc<Metrics>,
}

impl Signals {
    /// Tells the address, and watches for as long as it is polled.
    pub(super) async fn watch(self) {
        let signals = if self.options.signals {
            open_all()
        } else {
            None
        };
        // Not before the signals are heeded: who reads the address may send one at once. The socket is bound
        // all the while, so that a client's connection is held.
        (self.options.bound)(self.bound.clone());
        let reloads = self.metrics.reloads();
        let Some([mut term, mut int, mut hup]) = signals else {
            // The sender has to live as long as the server: its end would look like the end of reloads.
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = term.recv() => stop(&self.options, "SIGTERM"),
                _ = int.recv() => stop(&self.options, "SIGINT"),
                _ = hup.recv() => self.reload(&reloads),
            }
        }
    }

    fn reload(&self, reloads: &Counts) {
        let Some(reload) = &self.options.reload else {
            return;
        };
        // Its problems were told by whoever checked it.
        let Some(program) = reload() else {
            return reloads.count(Reloaded::Refused as usize);
        };
        reloads.count(Reloaded::Ok as usize);
        let started = &self.started;
        let pairs = program.listeners.iter().zip(&started.listeners);
        let listener = program.listeners.len() != started.listeners.len()
            || pairs.into_iter().any(|(now, then)| !now.is_like(then))
            || program.workers != started.workers
            || program.admin != started.admin;
        if listener || program.limits != started.limits {
            warn!(
                "`server.listen`, `server.meta`, `server.listeners`, `server.workers`, `server.limits` and `admin` take effect at the next start only"
            );
        }
        // Workers that ended already do not mind.
        self.programs.send_replace(program);
    }
}

fn open_all() -> Option<[Signal; 3]> {
    Some([
        open(SignalKind::terminate())?,
        open(SignalKind::interrupt())?,
        open(SignalKind::hangup())?,
    ])
}

fn open(kind: SignalKind) -> Option<Signal> {
    match signal(kind) {
        Ok(signal) => Some(signal),
        Err(err) => {
            error!(error = %err, "can't watch for signals");
            None
        }
    }
}

fn stop(options: &Options, name: &str) {
    if options.shutdown.is_cancelled() {
        // Not even a line of the log is waited for.
        #[expect(clippy::exit, reason = "asked for: calls in flight are given up")]
        std::process::exit(1);
    }
    options.shutdown.cancel();
    info!(signal = name, "stopping");
}
