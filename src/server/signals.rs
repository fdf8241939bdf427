//! Handles signals: SIGTERM and SIGINT drain, a second one exits immediately, SIGHUP reloads.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::options::{Bound, Options};
use super::start_only::changed_keys;
use super::warnings::log_warnings;
use crate::diagnostic::list;
use crate::metrics::{Counts, Metrics, Reloaded};
use crate::program::Program;

/// The signals that the process catches: SIGTERM, SIGINT and SIGHUP.
pub(super) type Caught = [Signal; 3];

/// What signals act on.
pub(super) struct Signals {
    pub(super) options: Options,
    /// Sends a reloaded program to all workers.
    pub(super) programs: watch::Sender<Arc<Program>>,
    /// The program that the server was started with. A reload can't change all of its settings.
    pub(super) started: Arc<Program>,
    /// The addresses of the server.
    pub(super) bound: Bound,
    pub(super) metrics: Arc<Metrics>,
}

/// Watches for signals. It outlives a panic, so that a signal that comes meanwhile is not lost.
pub(super) struct Watcher {
    signals: Signals,
    /// `None` if the signals are not for this server.
    caught: RefCell<Option<Caught>>,
    /// The addresses have been reported.
    reported: Cell<bool>,
    reloads: Counts,
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
            reloads: signals.metrics.reloads(),
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
                Came::Hup => signals.reload(&self.reloads),
            }
        }
    }

    /// The next signal. Without signals it never comes: the sender of programs has to live as long as the server, because
    /// workers treat its end as the end of reloads.
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

impl Signals {
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
        let keys = changed_keys(&self.started, &program);
        if !keys.is_empty() {
            let keys = list(keys.iter().map(String::as_str));
            warn!(keys, "changed keys take effect only after a restart");
        }
        // Workers that have ended ignore it.
        self.programs.send_replace(program);
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

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc::channel;

    use tokio::sync::mpsc;

    use super::*;
    use crate::program;
    use crate::supervise::supervise;

    fn program() -> Arc<Program> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = [
            ("s.thrift", "service S { void ping() }"),
            ("t.toml", "[server]\nidl = 's.thrift'\nunserved = '*'\n"),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let path = folder.path().join("t.toml");
        let checked = program::check(&path.to_string_lossy(), &Vec::new());
        Arc::new(checked.expect("it has no problems"))
    }

    /// Sends this process the signal that stands for SIGHUP here.
    fn send() {
        let kill = format!("kill -USR1 {}", std::process::id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("a shell").success());
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_panic_in_a_reload_does_not_end_the_watching_for_signals() {
        let program = program();
        let (asked, mut reloads) = mpsc::unbounded_channel();
        let (reported, reports) = channel();
        let options = Options {
            shutdown: CancellationToken::new(),
            signals: true,
            reload: Some(Box::new(move || {
                asked.send(()).expect("the test waits");
                panic!("over the new configuration");
            })),
            bound: Box::new(move |_| reported.send(()).expect("the test waits")),
        };
        let bound = Bound {
            listeners: Vec::new(),
            admin: None,
            workers: 1,
        };
        let signals = Signals {
            programs: watch::channel(Arc::clone(&program)).0,
            started: program,
            bound,
            metrics: Metrics::new(1, options.shutdown.clone()),
            options,
        };
        // Others than those of a server, which end the process unless they are caught.
        let kinds = [
            SignalKind::alarm(),
            SignalKind::user_defined2(),
            SignalKind::user_defined1(),
        ];
        let caught = kinds.map(|kind| open(kind).expect("it can be caught"));
        let watcher = Rc::new(Watcher::new(Some(caught), signals));
        let _task = supervise("signals", move || Rc::clone(&watcher).watch());
        for _ in 0..3 {
            send();
            reloads.recv().await.expect("it is asked to reload");
        }
        assert_eq!(reports.try_iter().count(), 1, "the addresses");
    }
}
