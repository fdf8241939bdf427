//! Makes the programs of reloads on a thread of its own: the loops go on meanwhile, and then only switch to what it made.
//!
//! It is asked to by signals, and by [`FileWatch`]. Requests that come during a reload are one request afterwards. A program that was replaced ends here too, once its last
//! call has ended: dropping large tables would hold a loop. At most [`PROGRAMS_MAX`] programs exist at a time: a reload
//! that would exceed that waits until the calls of an earlier one have ended, each of which has a deadline.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::file_watch::FileWatch;
use super::options::Reload;
use super::reload_progress::ReloadProgress;
use super::start_only::StartKeys;
use super::warnings::{log_problems, log_warnings};
use crate::admin::Tls;
use crate::diagnostic::list;
use crate::metrics::{Counts, Metrics, Reloaded};
use crate::program::Program;
use crate::random::Random;

/// The most programs at a time: the current one, and earlier ones whose calls have not ended.
const PROGRAMS_MAX: usize = 4;
/// How often earlier programs are checked for their end.
const SWEEP: Duration = Duration::from_millis(50);

/// A program on its way to the loops.
pub(super) struct Served {
    pub(super) program: Arc<Program>,
    /// The loops that do not serve it yet.
    loops_left: AtomicUsize,
    /// The reload that made it, and its number; none at the start.
    reload: Option<(Arc<ReloadProgress>, u64)>,
}

impl Served {
    /// The program that the server is started with.
    pub(super) fn new(program: Arc<Program>) -> Arc<Self> {
        let loops = program.workers;
        Served::for_loops(program, loops, None)
    }

    fn for_loops(
        program: Arc<Program>,
        loops: usize,
        reload: Option<(Arc<ReloadProgress>, u64)>,
    ) -> Arc<Self> {
        Arc::new(Served {
            program,
            loops_left: AtomicUsize::new(loops),
            reload,
        })
    }

    /// Another loop serves it. The last one logs that.
    pub(super) fn adopted(&self) {
        if self.loops_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            info!("serving the reloaded configuration");
            if let Some((progress, number)) = &self.reload {
                progress.end(*number, false);
            }
        }
    }
}

/// Asks for reloads. The thread ends when it is dropped.
pub(super) struct Reloader(SyncSender<()>);

/// What the thread works with.
pub(super) struct Reloading {
    pub(super) reload: Reload,
    /// Sends a reloaded program to all loops.
    pub(super) programs: watch::Sender<Arc<Served>>,
    /// What a reload can't change.
    pub(super) started: StartKeys,
    pub(super) metrics: Arc<Metrics>,
    /// The TLS settings of the admin port.
    pub(super) admin_tls: Option<Arc<Tls>>,
    pub(super) progress: Arc<ReloadProgress>,
}

impl Reloader {
    /// Starts the thread.
    pub(super) fn start(reloading: Reloading) -> std::io::Result<Self> {
        let (sender, requests) = sync_channel(1);
        let thread = std::thread::Builder::new().name("reloads".into());
        // Not joined: a reload that is under way must not delay the end of the process.
        thread.spawn(move || run(&reloading, &requests))?;
        Ok(Reloader(sender))
    }

    /// Asks for a reload. One that has been asked for and not begun is enough.
    pub(super) fn request(&self) {
        // Full: one is asked for already. Disconnected: the thread panicked, which is logged.
        let _requested = self.0.try_send(());
    }
}

/// Reloads when asked, until the last sender is dropped.
fn run(reloading: &Reloading, requests: &Receiver<()>) {
    let reloads = reloading.metrics.reloads();
    let mut earlier = Vec::new();
    let mut watch = FileWatch::new(&reloading.programs.borrow().program, Random::from_process());
    loop {
        let sweep_after = (!earlier.is_empty()).then_some(SWEEP);
        let look_after = watch.next_look(Instant::now());
        let is_due = match next(requests, sweep_after.into_iter().chain(look_after).min()) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => watch.look(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if is_due {
            let number = reloading.progress.begin();
            if make_room(&mut earlier, requests).is_err() {
                return;
            }
            earlier.extend(reloading.reload(&reloads, &mut watch, number));
        }
        sweep(&mut earlier);
    }
}

/// Waits for a request; not for longer than `at_most`, if there is something else to do.
fn next(requests: &Receiver<()>, at_most: Option<Duration>) -> Result<(), RecvTimeoutError> {
    match at_most {
        None => Ok(requests.recv()?),
        Some(at_most) => requests.recv_timeout(at_most),
    }
}

/// Drops the programs that are used nowhere else.
fn sweep(earlier: &mut Vec<Arc<Program>>) {
    earlier.retain(|program| Arc::strong_count(program) > 1);
}

/// Waits until another program may exist. Requests that come meanwhile are part of the one that waits.
fn make_room(
    earlier: &mut Vec<Arc<Program>>,
    requests: &Receiver<()>,
) -> Result<(), RecvTimeoutError> {
    let mut waits = 0_usize;
    loop {
        sweep(earlier);
        let programs = earlier.len() + 1;
        if programs < PROGRAMS_MAX {
            return Ok(());
        }
        // Most calls end within the first wait, which is not worth a line.
        if waits == 1 {
            warn!(
                programs,
                "the reload waits: calls of earlier configurations have not ended"
            );
        }
        waits += 1;
        match requests.recv_timeout(SWEEP) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(ended) => return Err(ended),
        }
    }
}

impl Reloading {
    /// Reloads once: the reload with this number. Returns the program that was replaced.
    fn reload(&self, reloads: &Counts, watch: &mut FileWatch, number: u64) -> Option<Arc<Program>> {
        let reloaded = catch_unwind(AssertUnwindSafe(&self.reload));
        let program = match reloaded {
            Ok(Ok(program)) => Arc::new(program),
            Ok(Err(refused)) => {
                log_problems(&refused.problems);
                watch.refused(refused.files);
                reloads.count(Reloaded::Refused as usize);
                self.progress.end(number, true);
                return None;
            }
            Err(_panic) => {
                error!("a reload panicked: still serving the old configuration");
                watch.panicked();
                reloads.count(Reloaded::Refused as usize);
                self.progress.end(number, true);
                return None;
            }
        };
        reloads.count(Reloaded::Ok as usize);
        let keys = self.started.changed(&program);
        let effective = self.started.in_use(&program, &keys);
        self.metrics
            .config_was_loaded(&program.expiries, &effective);
        watch.serves(&program);
        // Switching TLS on or off takes effect at the next start.
        let admin = program.admin.as_ref().and_then(|admin| admin.tls.as_ref());
        if let Some((tls, now)) = self.admin_tls.as_ref().zip(admin) {
            tls.replace(now);
        }
        log_warnings(&program);
        if !keys.is_empty() {
            let keys = list(keys.iter().map(String::as_str));
            warn!(keys, "changed keys take effect only after a restart");
        }
        let reload = Some((Arc::clone(&self.progress), number));
        let served = Served::for_loops(program, self.started.workers(), reload);
        // Loops that have ended ignore it.
        let before = self.programs.send_replace(served);
        Some(Arc::clone(&before.program))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::program::check;

    fn program() -> Arc<Program> {
        Arc::new(checked())
    }

    fn checked() -> Program {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = [
            ("s.thrift", "service S { void ping() }"),
            ("t.toml", "[server]\nidl = 's.thrift'\nunserved = '*'\n"),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let path = folder.path().join("t.toml");
        let checked = check(&path.to_string_lossy(), &Vec::new());
        checked.expect("it has no problems")
    }

    fn start(reload: Reload) -> (Reloader, watch::Receiver<Arc<Served>>) {
        let started = program();
        let (programs, served) = watch::channel(Served::new(Arc::clone(&started)));
        let reloader = Reloader::start(Reloading {
            reload,
            programs,
            started: StartKeys::of(&started),
            metrics: Metrics::new(1, CancellationToken::new()),
            admin_tls: None,
            progress: Arc::default(),
        });
        (reloader.expect("a thread"), served)
    }

    #[test]
    fn a_panic_in_a_reload_does_not_end_reloads() {
        let (asked, reloads) = channel();
        let (reloader, _served) = start(Box::new(move || {
            asked.send(()).expect("the test waits");
            panic!("over the new configuration");
        }));
        for _ in 0..3 {
            reloader.request();
            reloads.recv().expect("it is asked to reload");
        }
    }

    #[test]
    fn requests_during_a_reload_are_one_afterwards() {
        let (asked, reloads) = channel();
        let (finish, finished) = channel();
        let (reloader, _served) = start(Box::new(move || {
            asked.send(()).expect("the test waits");
            finished.recv().expect("the test goes on");
            Ok(checked())
        }));
        reloader.request();
        reloads.recv().expect("it is asked to reload");
        for _ in 0..5 {
            reloader.request();
        }
        finish.send(()).expect("it waits");
        reloads.recv().expect("it is asked again");
        finish.send(()).expect("it waits");
        drop(reloader);
        assert!(reloads.recv().is_err(), "once");
    }

    #[test]
    fn a_reload_waits_until_one_of_too_many_programs_has_ended() {
        let mut in_use: Vec<_> = (1..PROGRAMS_MAX).map(|_| program()).collect();
        let mut earlier = in_use.clone();
        let (sender, requests) = sync_channel(1);
        drop(sender);
        assert!(make_room(&mut earlier, &requests).is_err(), "it waits");
        assert_eq!(earlier.len(), in_use.len());
        in_use.pop();
        assert!(make_room(&mut earlier, &requests).is_ok());
        assert_eq!(earlier.len(), in_use.len(), "it was dropped here");
    }
}
