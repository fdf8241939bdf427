//! Handles signals: SIGTERM and SIGINT drain, a second one exits immediately, SIGHUP reloads.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::options::{Bound, Options};
use super::warnings::log_warnings;
use crate::metrics::{Counts, Metrics, Reloaded};
use crate::program::Program;

/// The signals that the process catches: SIGTERM, SIGINT and SIGHUP.
pub(super) type Caught = [Signal; 3];

/// What signals act on.
pub(super) struct Signals {
    /// `None` if the signals are not for this server.
    pub(super) caught: Option<Caught>,
    pub(super) options: Options,
    /// Sends a reloaded program to all workers.
    pub(super) programs: watch::Sender<Arc<Program>>,
    /// The program that the server was started with. A reload can't change all of its settings.
    pub(super) started: Arc<Program>,
    /// The addresses of the server.
    pub(super) bound: Bound,
    pub(super) metrics: Arc<Metrics>,
}

impl Signals {
    /// Reports the addresses, then watches for signals for as long as it is polled.
    pub(super) async fn watch(mut self) {
        let signals = self.caught.take();
        // The sockets are bound already, so that early connections wait.
        (self.options.bound)(self.bound.clone());
        let reloads = self.metrics.reloads();
        let Some([mut term, mut int, mut hup]) = signals else {
            // The sender has to live as long as the server: workers treat its end as the end of reloads.
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
        // The closure has reported the problems.
        let Some(program) = reload() else {
            return reloads.count(Reloaded::Refused as usize);
        };
        reloads.count(Reloaded::Ok as usize);
        log_warnings(&program);
        let started = &self.started;
        let pairs = program.listeners.iter().zip(&started.listeners);
        let listener = program.listeners.len() != started.listeners.len()
            || pairs.into_iter().any(|(now, then)| !now.is_like(then))
            || program.workers != started.workers
            || program.admin != started.admin;
        if listener || program.limits != started.limits {
            warn!(
                "changes of `server.listen`, `server.meta`, `server.listeners`, `server.workers`, `server.limits` and `admin` take effect only after a restart"
            );
        }
        // Workers that have ended ignore it.
        self.programs.send_replace(program);
    }
}

/// Catches the signals from now on, within a runtime that will poll [`Signals::watch`]. Until it does, they wait. To be
/// called before the first address is bound: whoever can connect may also send a signal.
pub(super) fn catch() -> Option<Caught> {
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
        // Immediately, without waiting even for the log.
        #[expect(
            clippy::exit,
            reason = "the operator asked to abandon the calls in flight"
        )]
        std::process::exit(1);
    }
    options.shutdown.cancel();
    info!(signal = name, "stopping");
}
