//! A future that is polled only when it was woken itself, not whenever its task is polled.
//!
//! A connection's task is woken a few times per call. Its timer and the shutdown signal are then nearly never ready, and
//! polling them costs as much as reading a short message.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// `F`, polled only when it was woken.
pub(super) struct PollOnWake<F> {
    future: F,
    /// `None` before the first poll and after a change.
    woken: Option<(Arc<Woken>, Waker)>,
}

struct Woken {
    it_was: AtomicBool,
    task: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.it_was.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F> PollOnWake<F> {
    pub(super) fn new(future: F) -> Self {
        PollOnWake {
            future,
            woken: None,
        }
    }

    /// Gives access to the future for a change; it is polled next time.
    pub(super) fn change(&mut self) -> &mut F {
        self.woken = None;
        &mut self.future
    }
}

impl<F: Future + Unpin> Future for PollOnWake<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        match &this.woken {
            Some((woken, _)) if woken.task.will_wake(cx.waker()) => {
                // The load comes first: the swap is expensive and nearly always unnecessary.
                let it_was = &woken.it_was;
                if !(it_was.load(Ordering::Relaxed) && it_was.swap(false, Ordering::AcqRel)) {
                    return Poll::Pending;
                }
            }
            _ => {
                let woken = Arc::new(Woken {
                    it_was: AtomicBool::new(false),
                    task: cx.waker().clone(),
                });
                this.woken = Some((Arc::clone(&woken), Waker::from(woken)));
            }
        }
        let Some((_, waker)) = &this.woken else {
            return Poll::Pending;
        };
        Pin::new(&mut this.future).poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn it_is_polled_first_when_woken_and_after_a_change() {
        let polls = Cell::new(0);
        let mut timer = Box::pin(sleep(Duration::from_millis(5)));
        let counted = poll_fn(|cx| {
            polls.set(polls.get() + 1);
            timer.as_mut().poll(cx)
        });
        let mut counted = PollOnWake::new(counted);
        let begun = Instant::now();
        // Other events wake the same task.
        for _ in 0..3 {
            let mut others = Box::pin(sleep(Duration::from_millis(1)));
            tokio::select! {
                biased;
                () = &mut counted => panic!("too early"),
                () = others.as_mut() => {}
            }
        }
        assert_eq!(polls.get(), 1);
        let _changed = counted.change();
        (&mut counted).await;
        assert_eq!(
            (polls.get(), begun.elapsed()),
            (3, Duration::from_millis(5))
        );
    }
}
