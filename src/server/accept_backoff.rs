//! How a listener goes about accepting: in batches, and patiently when descriptors or memory run out.
//!
//! A listener that can't accept stays ready, so trying again at once would spin; and whoever connects in thousands
//! must neither keep the loop from its calls nor fill the log.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::disconnect_log::Remote;

/// Connections taken in one go; then it is everybody else's turn.
const BATCH: usize = 64;
/// How long to wait after the first failed accept; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// After a shortage so many descriptors have to be free before another connection takes one: who has connections
/// already, the stores and the admin port come first.
const FREE_MIN: usize = 8;
/// How often the log says that connections are refused.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// One listener's way of accepting.
#[derive(Debug, Default)]
pub(super) struct AcceptBackoff {
    /// Taken since it was last somebody else's turn.
    in_batch: usize,
    /// How long the last pause was, if the last accept failed.
    pause: Option<Duration>,
    /// Refused since the log last said so.
    refused: usize,
    told: Option<Instant>,
}

impl AcceptBackoff {
    /// A connection was taken.
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

    /// Waits before the next accept, if there is reason to.
    pub(super) async fn failed(&mut self, err: &io::Error) {
        if !is_shortage(err) {
            // One connection's own fault: it was gone before it was taken.
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

    /// A connection to `listener` was closed because `limit` were open.
    pub(super) fn refused(&mut self, (peer, listener): (Remote, &str), limit: usize) {
        self.refused += 1;
        let now = Instant::now();
        if self.told.is_none_or(|told| told + TELL_EVERY <= now) {
            let closed = std::mem::take(&mut self.refused);
            self.told = Some(now);
            warn!(%peer, listener, limit, closed, "too many connections: closed new ones");
        }
    }
}

fn is_shortage(err: &io::Error) -> bool {
    let errno = Errno::from_io_error(err);
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    errno.is_none_or(|errno| shortages.contains(&errno))
}

/// Whether some descriptors are free: the system says so only by giving them.
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
    fn it_is_somebody_elses_turn_after_a_batch() {
        let mut backoff = AcceptBackoff::default();
        for round in 0..3 {
            for at in 1..=BATCH {
                let goes_on = backoff.accepted().now_or_never().is_some();
                assert_eq!(goes_on, at < BATCH, "round {round}, {at}");
            }
        }
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn failures_are_waited_out_longer_and_longer_up_to_half_a_second() {
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
        assert_eq!(before.elapsed(), PAUSE_MIN, "from the start again");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_that_was_gone_holds_nobody_up() {
        let mut backoff = AcceptBackoff::default();
        let begun = Instant::now();
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN] {
            backoff.failed(&errno.into()).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
