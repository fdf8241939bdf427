//! Requests to a store to stop an abandoned statement: their time limit, their pause after a failure, their number.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::log_limit::LogLimit;

/// How long a request may take. Its session runs nothing new meanwhile.
const REQUEST_MAX: Duration = Duration::from_secs(1);
/// The shortest time between two requests: each costs the store a process or a session, and several at once would hold up
/// its other statements.
const APART: Duration = Duration::from_millis(5);
/// How long no further request is sent after one that failed, and at most after several.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What became of a request to stop a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The store has taken the request.
    Sent,
    /// The request did not reach the store, which works on.
    Failed,
}

impl Cancelled {
    /// Every outcome in the order of its number.
    pub const ALL: [(&'static str, bool); 2] = [("sent", true), ("failed", true)];
}

/// The requests to one store from one loop.
#[derive(Debug)]
pub(super) struct CancelRequests {
    /// The store's name in the log.
    store: &'static str,
    counts: Cancels,
    /// No request is sent before this.
    paused_until: Cell<Option<Instant>>,
    /// When the next one may be sent.
    next_at: Cell<Option<Instant>>,
    pause: Cell<Duration>,
    log: LogLimit<()>,
}

impl CancelRequests {
    pub(super) fn new(store: &'static str) -> Self {
        CancelRequests {
            store,
            counts: Cancels::new(),
            paused_until: Cell::new(None),
            next_at: Cell::new(None),
            pause: Cell::new(PAUSE),
            log: LogLimit::default(),
        }
    }

    pub(super) fn counts(&self) -> &Cancels {
        &self.counts
    }

    /// Whether requests are sent at the moment.
    pub(super) fn may_send(&self) -> bool {
        let is_over = |until| until <= Instant::now();
        self.paused_until.get().is_none_or(is_over)
    }

    /// When another one may be sent. It is to be sent then, or not at all.
    pub(super) fn turn(&self) -> Instant {
        let now = Instant::now();
        let at = self.next_at.get().map_or(now, |next| next.max(now));
        self.next_at.set(Some(at + APART));
        at
    }

    /// Sends one. Returns whether it was handled.
    pub(super) async fn send(&self, request: impl Future<Output = Result<(), String>>) -> bool {
        let failed = match timeout(REQUEST_MAX, request).await {
            Ok(Ok(())) => {
                self.counts.count(Cancelled::Sent);
                self.pause.set(PAUSE);
                return true;
            }
            Ok(Err(why)) => why,
            Err(_elapsed) => "no answer within a second".to_owned(),
        };
        self.counts.count(Cancelled::Failed);
        let is_paused = !self.may_send();
        if is_paused {
            // Several were under way.
            return false;
        }
        let pause = self.pause.get();
        self.paused_until.set(Some(Instant::now() + pause));
        self.pause.set((pause * 2).min(PAUSE_MAX));
        if let Some(suppressed) = self.log.allow(()) {
            let (store, pause) = (self.store, pause.as_secs());
            warn!(
                suppressed,
                "{store} can't be asked to stop an abandoned statement: {failed}; the next attempt is in {pause} s \
                 at the earliest"
            );
        }
        false
    }
}

/// The counts of one store on one loop, by [`Cancelled`]. The loop is their only writer.
#[derive(Clone, Debug)]
pub struct Cancels(Arc<[AtomicU64]>);

impl Cancels {
    fn new() -> Self {
        Cancels([AtomicU64::new(0), AtomicU64::new(0)].into())
    }

    fn count(&self, what: Cancelled) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts themselves, for a scrape on another thread.
    pub fn counts(&self) -> &Arc<[AtomicU64]> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn requests_are_sent_apart() {
        let requests = CancelRequests::new("a store");
        let start = Instant::now();
        let turn = || requests.turn().duration_since(start);
        assert_eq!([turn(), turn(), turn()], [Duration::ZERO, APART, APART * 2]);
        advance(APART * 10).await;
        assert_eq!([turn(), turn()], [APART * 10, APART * 11]);
    }
}
