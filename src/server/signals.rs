//! Handles signals: SIGTERM and SIGINT drain, a second one exits immediately, SIGHUP reloads.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::options::{Bound, Options};
use super::reload::Reloader;

/// The signals that the process catches: SIGTERM, SIGINT and SIGHUP.
pub(super) type Caught = [Signal; 3];

/// What signals act on.
pub(super) struct Signals {
    pub(super) options: Options,
    /// Reloads, if that is possible.
    pub(super) reloader: Option<Reloader>,
    /// The addresses of the server.
    pub(super) bound: Bound,
}

/// Watches for signals. It outlives a panic, so that a signal that comes meanwhile is not lost.
pub(super) struct Watcher {
    signals: Signals,
    /// `None` if the signals are not for this server.
    caught: RefCell<Option<Caught>>,
    /// The addresses have been reported.
    reported: Cell<bool>,
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
        Watcher {
            signals,
            caught: RefCell::new(caught),
            reported: Cell::new(false),
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
            match self.next().await {
                Came::Term => stop(&signals.options, "SIGTERM"),
                Came::Int => stop(&signals.options, "SIGINT"),
                Came::Hup => {
                    if let Some(reloader) = &signals.reloader {
                        reloader.request();
                    }
                }
            }
        }
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
