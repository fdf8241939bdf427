//! Accepts in batches, and backs off when descriptors or memory run out.
//!
//! A listener that can't accept stays ready, so retrying immediately would spin. Thousands of new connections must neither
//! keep the loop from its calls nor fill the log.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::sleep;
use tracing::{info, warn};

use super::client::Remote;
use crate::log_limit::LogLimit;

/// Connections accepted in a row before other tasks of the loop run.
const BATCH: usize = 64;
/// The pause after the first failed accept; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The descriptors that have to be free again after a shortage before another connection is accepted: existing connections,
/// stores and the admin port come first.
const FREE_MIN: usize = 8;

/// The backoff of one listener.
#[derive(Debug, Default)]
pub(super) struct AcceptBackoff {
    /// Accepted since other tasks last ran.
    in_batch: usize,
    /// The last pause, if the last accept failed.
    pause: Option<Duration>,
    /// The log says that there is a shortage.
    logged: bool,
    shortages: LogLimit<()>,
    refusals: LogLimit<()>,
}

impl AcceptBackoff {
    /// A connection was accepted.
    pub(super) async fn accepted(&mut self) {
        self.pause = None;
        if std::mem::take(&mut self.logged) {
            info!("accepting connections again");
        }
        self.in_batch += 1;
        if self.in_batch == BATCH {
            self.in_batch = 0;
            tokio::task::yield_now().await;
        }
    }

    /// An accept failed: waits before the next one if there is a shortage.
    pub(super) async fn failed(&mut self, err: &io::Error) {
        if !is_shortage(err) {
            // That connection ended before it was accepted; others are not affected.
            return;
        }
        loop {
            // A shortage that lasts is logged, however short the last one was.
            if !self.logged && self.shortages.allow(()).is_some() {
                self.logged = true;
                warn!(error = %err, "can't accept connections: waiting until some end");
            }
            let pause = next_pause(self.pause);
            self.pause = Some(pause);
            sleep(pause).await;
            if some_are_free() {
                return;
            }
        }
    }

    /// A connection to `listener` was closed because `limit` connections were open.
    pub(super) fn refused(&self, (peer, listener): (Remote, &str), limit: usize) {
        if let Some(suppressed) = self.refusals.allow(()) {
            let closed = suppressed + 1;
            warn!(%peer, listener, limit, closed, "too many connections: closed new ones");
        }
    }
}

fn is_shortage(err: &io::Error) -> bool {
    let errno = Errno::from_io_error(err);
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    errno.is_none_or(|errno| shortages.contains(&errno))
}

/// Whether some descriptors are free. The only way to find out is to open some.
fn some_are_free() -> bool {
    let taken: Result<Vec<File>, _> = (0..FREE_MIN).map(|_| File::open("/dev/null")).collect();
    taken.is_ok()
}

fn next_pause(last: Option<Duration>) -> Duration {
    last.map_or(PAUSE_MIN, |last| (last * 2).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;
    use crate::log_limit::INTERVAL;

    #[test]
    fn other_tasks_run_after_a_batch() {
        let mut backoff = AcceptBackoff::default();
        for round in 0..3 {
            for at in 1..=BATCH {
                let goes_on = backoff.accepted().now_or_never().is_some();
                assert_eq!(goes_on, at < BATCH, "round {round}, {at}");
            }
        }
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn pauses_double_up_to_half_a_second() {
        let mut backoff = AcceptBackoff::default();
        let full = io::Error::from(Errno::MFILE);
        let begun = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let before = Instant::now();
            backoff.failed(&full).await;
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 500, 500, 500]);
        backoff.accepted().await;
        let before = Instant::now();
        backoff.failed(&full).await;
        assert_eq!(before.elapsed(), PAUSE_MIN, "the pause starts over");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn shortages_that_come_and_go_are_logged_once_per_interval_and_one_that_lasts_too() {
        let mut backoff = AcceptBackoff::default();
        let full = io::Error::from(Errno::MFILE);
        let mut logged = Vec::new();
        for _ in 0..3 {
            backoff.failed(&full).await;
            logged.push(backoff.logged);
            backoff.accepted().await;
            assert!(!backoff.logged, "the log says that it is over");
        }
        assert_eq!(logged, [true, false, false]);
        let begun = Instant::now();
        while !backoff.logged {
            backoff.failed(&full).await;
        }
        assert!(begun.elapsed() <= INTERVAL + 2 * PAUSE_MAX);
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_that_ended_early_causes_no_pause() {
        let mut backoff = AcceptBackoff::default();
        let begun = Instant::now();
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN] {
            backoff.failed(&errno.into()).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
