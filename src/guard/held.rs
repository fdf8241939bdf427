//! Holds calls back while the queue that their lookups would join is long.
//!
//! A call that has not begun costs the loop nothing: while a burst comes in, the loop works on the calls that came first, and
//! calls for which it turns out that there is no time can still be refused as a whole. Held calls begin in turns of their
//! callers. No call is held for a store that does not answer, nor for lookups without which it is still worth much: see
//! [`super::forecast`].

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::forecast::Need;
use super::stores::Stores;
use crate::context::CallerId;

/// A call is held no longer by a store that has answered nothing for this long.
const PATIENCE: Duration = Duration::from_millis(100);
/// If the loop comes to it later than this, it may not have come to the store's answers either.
const LATE: Duration = Duration::from_millis(10);

/// A call that waits to begin.
struct Held<'a> {
    stores: &'a Stores,
    need: &'a Need,
    /// `None` once it may begin.
    key: Option<usize>,
}

/// Waits until the queue of `need` is short, but not longer than until `latest`. Returns whether the call may begin.
pub(super) async fn hold(stores: &Stores, need: &Need, caller: CallerId, latest: Instant) -> bool {
    let key = stores.with_backlog(need.queue, |backlog, _| {
        backlog.hold(caller, need.asks(), Instant::now)
    });
    let served = || stores.with_backlog(need.queue, |backlog, _| backlog.served_so_far());
    let mut before = served();
    let mut held = pin!(Held { stores, need, key });
    loop {
        let until = latest.min(Instant::now() + PATIENCE);
        if timeout_at(until, held.as_mut()).await.is_ok() {
            return true;
        }
        let after = served();
        let on_time = Instant::now() < until + LATE;
        if after == before && on_time {
            return true;
        }
        before = after;
        if Instant::now() >= latest {
            return false;
        }
    }
}

impl Future for Held<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(key) = self.key else {
            return Poll::Ready(());
        };
        let polled = self.stores.with_backlog(self.need.queue, |backlog, _| {
            let polled = backlog.held().poll(key, cx);
            if let Poll::Ready(lookups) = polled {
                backlog.begins(lookups);
            }
            polled
        });
        match polled {
            Some(Poll::Pending) => Poll::Pending,
            _ => {
                self.key = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.stores.with_backlog(self.need.queue, |backlog, _| {
                if let Some(lookups) = backlog.held().leave(key) {
                    backlog.begins(lookups);
                }
            });
        }
    }
}
