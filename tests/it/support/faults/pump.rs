//! Carries bytes in one direction of one connection, over sockets or in memory.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tributary::random::Random;

use super::queue::Queue;
use super::toxic::{Conditions, Direction, Toxic};

/// How much is read at a time.
const READ_BYTES: usize = 16 * 1024;

/// How a connection ends before its ends close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Closed,
    Reset,
}

/// One direction.
pub(crate) struct Pump<R, W> {
    from: R,
    to: W,
    direction: Direction,
    queue: Queue,
    /// The sender has ended.
    ended: bool,
    began: Instant,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    pub(crate) fn new(from: R, to: W, direction: Direction, random: Random) -> Self {
        Pump {
            from,
            to,
            direction,
            queue: Queue::new(random),
            ended: false,
            began: Instant::now(),
        }
    }

    /// Carries bytes until the sender ends or a toxic breaks the connection.
    pub(crate) async fn run(
        mut self,
        mut conditions: watch::Receiver<Arc<Conditions>>,
    ) -> Result<(), Broken> {
        loop {
            let now = Arc::clone(&conditions.borrow_and_update());
            let toxics = self.toxics(&now);
            let since = self.began.max(now.since);
            tokio::select! {
                biased;
                changed = conditions.changed() => changed.map_err(|_gone| Broken::Reset)?,
                broken = broken(&toxics, since) => return Err(broken),
                carried = self.carry(&toxics) => return carried,
            }
            self.queue.conditions_changed();
        }
    }

    /// The toxics that act on this direction of this connection.
    fn toxics(&mut self, conditions: &Conditions) -> Vec<Toxic> {
        let all = conditions.toxics.iter();
        let here = all.filter(|(direction, toxicity, _)| {
            *direction == self.direction && self.queue.random.chance(*toxicity)
        });
        here.map(|(_, _, toxic)| *toxic).collect()
    }

    /// Loses nothing if dropped.
    async fn carry(&mut self, toxics: &[Toxic]) -> Result<(), Broken> {
        let lost = |_err| Broken::Reset;
        if toxics.iter().any(|toxic| matches!(toxic, Toxic::Hold)) {
            return std::future::pending().await;
        }
        loop {
            if let Some(due) = self.queue.due()
                && due <= Instant::now()
            {
                let front = self.queue.front().expect("it is due");
                self.to.write_buf(front).await.map_err(lost)?;
                self.queue.drop_written();
                continue;
            }
            if self.queue.is_over() {
                return Err(Broken::Closed);
            }
            let due = self.queue.due();
            if self.ended && due.is_none() {
                sleep(slow_close(toxics)).await;
                // The other end may have closed meanwhile.
                let _closed = self.to.shutdown().await;
                return Ok(());
            }
            let mut bytes = BytesMut::with_capacity(READ_BYTES);
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or(self.began)), if due.is_some() => {}
                read = self.from.read_buf(&mut bytes), if !self.ended && !self.queue.is_full() => {
                    self.ended = read.map_err(lost)? == 0;
                    if !self.ended {
                        self.queue.put(bytes, toxics);
                    }
                }
            }
        }
    }
}

fn slow_close(toxics: &[Toxic]) -> std::time::Duration {
    let delays = toxics.iter().map(|toxic| match toxic {
        Toxic::SlowClose { delay } => *delay,
        _ => std::time::Duration::ZERO,
    });
    delays.sum()
}

/// Waits until one of the toxics breaks the connection.
async fn broken(toxics: &[Toxic], since: Instant) -> Broken {
    let ends = toxics.iter().filter_map(|toxic| match *toxic {
        Toxic::Timeout { timeout } if !timeout.is_zero() => Some((since + timeout, Broken::Closed)),
        Toxic::ResetPeer { timeout } => Some((since + timeout, Broken::Reset)),
        _ => None,
    });
    match ends.min_by_key(|(at, _)| *at) {
        Some((at, broken)) => {
            // A timer that is due fires at the next tick only.
            if at > Instant::now() {
                sleep_until(at).await;
            }
            broken
        }
        None => std::future::pending().await,
    }
}
