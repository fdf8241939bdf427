//! Accepts in batches, and backs off when descriptors or memory run out.
//!
//! A listener that can't accept stays ready, so retrying immediately would spin. Thousands of new connections must neither
//! keep the loop from its calls nor fill the log.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::client::Remote;

/// Connections accepted in a row before other tasks of the loop run.
const BATCH: usize = 64;
/// The pause after the first failed accept; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The descriptors that have to be free again after a shortage before another connection is accepted: existing connections,
/// stores and the admin port come first.
const FREE_MIN: usize = 8;
/// How often the log says that connections are refused.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// The backoff of one listener.
#[derive(Debug, Default)]
pub(super) struct AcceptBackoff {
    /// Accepted since other tasks last ran.
    in_batch: usize,
    /// The last pause, if the last accept failed.
    pause: Option<Duration>,
    /// Refused since the last log line.
    refused: usize,
    logged: Option<Instant>,
}

impl AcceptBackoff {
    /// A connection was accepted.
    pub(super) async fn accepted(&mut self) {
        if self.pause.take().is_some() {
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
        if self.pause.is_none() {
            warn!(error = %err, "can't accept connections: waiting until some end");
        }
        loop {
            let pause = next_pause(self.pause);
            self.pause = Some(pause);
            sleep(pause).await;
            if some_are_free() {
                return;
            }
        }
    }

    /// A connection to `listener` was closed because `limit` connections were open.
    pub(super) fn refused(&mut self, (peer, listener): (Remote, &str), limit: usize) {
        self.refused += 1;
        let now = Instant::now();
        if self.logged.is_none_or(|logged| logged + LOG_EVERY <= now) {
            let closed = std::mem::take(&mut self.refused);
            self.logged = Some(now);
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

    use super::*;

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
    async fn a_connection_that_ended_early_causes_no_pause() {
        let mut backoff = AcceptBackoff::default();
        let begun = Instant::now();
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN] {
            backoff.failed(&errno.into()).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
