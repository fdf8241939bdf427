//! SIGTERM and SIGINT drain, a second one exits at once; SIGHUP reloads.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::Options;
use crate::config::Program;

/// Watches for as long as it is polled. A program that a reload yields goes to all workers.
pub(super) async fn watch(options: Options, programs: watch::Sender<Arc<Program>>) {
    if !options.signals {
        // The sender has to live as long as the server: its end would look like the end of reloads.
        std::future::pending::<()>().await;
    }
    let (Some(mut term), Some(mut int), Some(mut hup)) = (
        open(SignalKind::terminate()),
        open(SignalKind::interrupt()),
        open(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = term.recv() => stop(&options, "SIGTERM"),
            _ = int.recv() => stop(&options, "SIGINT"),
            _ = hup.recv() => reload(&options, &programs),
        }
    }
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
        warn!(signal = name, "second signal: exiting at once");
        #[expect(clippy::exit, reason = "asked for: calls in flight are given up")]
        std::process::exit(1);
    }
    info!(signal = name, "stopping");
    options.shutdown.cancel();
}

fn reload(options: &Options, programs: &watch::Sender<Arc<Program>>) {
    let Some(reload) = &options.reload else {
        return;
    };
    let Some(program) = reload() else {
        warn!("the configuration has problems: still serving the old one");
        return;
    };
    let now = programs.borrow();
    let listener_changed = program.listen != now.listen || program.workers != now.workers;
    drop(now);
    if listener_changed {
        warn!("`server.listen` and `server.workers` take effect at the next start only");
    }
    // Workers that ended already do not mind.
    programs.send_replace(program);
}
