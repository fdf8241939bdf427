//! Handles signals: SIGTERM and SIGINT drain, a second one exits immediately, SIGHUP reloads, SIGCHLD reaps [orphans](Orphans).
//!
//! After SIGTERM, calls are accepted for `server.drain_delay` before the drain begins: whoever sends clients here learns only
//! after a while that the server is not ready any more.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::options::{Bound, Options};
use super::orphans::Orphans;
use super::reload::{Reloader, Served};

/// The signals that the process catches.
pub(super) struct Caught {
    /// SIGTERM, SIGINT and SIGHUP.
    of_operators: [Signal; 3],
    orphans: Orphans,
}

/// What signals act on.
pub(super) struct Signals {
    pub(super) options: Options,
    /// Cancelled before the shutdown: the server was asked to stop.
    pub(super) stopping: CancellationToken,
    /// The last one is that of the last reload.
    pub(super) programs: watch::Receiver<Arc<Served>>,
    /// Reloads, if that is possible.
    pub(super) reloader: Option<Reloader>,
    /// The addresses of the server.
    pub(super) bound: Bound,
}

/// Watches for signals. It outlives a panic, so that a signal that comes meanwhile is not lost.
pub(super) struct Watcher {
    signals: Signals,
    /// `None` if the signals are not for this server.
    caught: RefCell<Option<[Signal; 3]>>,
    orphans: Option<Orphans>,
    /// The addresses have been reported.
    reported: Cell<bool>,
    /// When the drain begins, if the server was asked to stop and still accepts calls.
    drain_at: Cell<Option<Instant>>,
}

/// A signal that came.
#[derive(Clone, Copy)]
enum Came {
    Term,
    Int,
    Hup,
}

impl Watcher {
    /// `caught` is `None` if the signals are not for this server.
    pub(super) fn new(caught: Option<Caught>, signals: Signals) -> Self {
        let (caught, orphans) = caught
            .map(|caught| (caught.of_operators, caught.orphans))
            .unzip();
        Watcher {
            signals,
            orphans,
            caught: RefCell::new(caught),
            reported: Cell::new(false),
            drain_at: Cell::new(None),
        }
    }

    /// Ends the server.
    pub(super) fn shutdown(&self) -> &CancellationToken {
        &self.signals.options.shutdown
    }

    /// Reports the addresses, then watches for signals for as long as it is polled. After a panic it may be called again.
    pub(super) async fn watch(self: Rc<Self>) {
        let signals = &self.signals;
        if !self.reported.replace(true) {
            // The sockets are bound already, so that early connections wait.
            (signals.options.bound)(signals.bound.clone());
        }
        loop {
            let came = tokio::select! {
                biased;
                came = self.next() => came,
                () = Orphans::reap(self.orphans.as_ref()) => continue,
                () = until(self.drain_at.get()) => {
                    self.drain();
                    continue;
                }
            };
            match came {
                Came::Term => self.stop("SIGTERM"),
                Came::Int => self.stop("SIGINT"),
                Came::Hup => {
                    if let Some(reloader) = &signals.reloader {
                        reloader.request();
                    }
                }
            }
        }
    }

    /// Starts to stop: immediately if that is asked for by a person, or for the second time.
    fn stop(&self, name: &str) {
        let signals = &self.signals;
        if signals.options.shutdown.is_cancelled() {
            exit();
        }
        let delay = match name {
            "SIGTERM" if !signals.stopping.is_cancelled() => {
                signals.programs.borrow().program.drain_delay
            }
            _ => Duration::ZERO,
        };
        signals.stopping.cancel();
        if delay.is_zero() {
            info!(signal = name, "stopping");
            return self.drain();
        }
        info!(signal = name, after = ?delay, "stopping");
        self.drain_at.set(Some(Instant::now() + delay));
    }

    fn drain(&self) {
        self.drain_at.set(None);
        self.signals.options.shutdown.cancel();
    }

    /// The next signal. Without signals it never comes.
    async fn next(&self) -> Came {
        poll_fn(|cx| {
            let mut caught = self.caught.borrow_mut();
            let kinds = [Came::Term, Came::Int, Came::Hup];
            for (signal, came) in caught.iter_mut().flatten().zip(kinds) {
                if let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                    return Poll::Ready(came);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Catches the signals from now on, within a runtime that will poll [`Watcher::watch`]. Until it does, they wait. To be
/// called before the first address is bound: whoever can connect may also send a signal.
pub(super) fn catch() -> Option<Caught> {
    Some(Caught {
        of_operators: [
            open(SignalKind::terminate())?,
            open(SignalKind::interrupt())?,
            open(SignalKind::hangup())?,
        ],
        orphans: Orphans::of_process(),
    })
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

/// Ends the process without waiting even for the log.
#[expect(
    clippy::exit,
    reason = "the operator asked to abandon the calls in flight"
)]
fn exit() -> ! {
    std::process::exit(1)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
