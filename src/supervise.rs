//! Runs background tasks that a panic does not end.
//!
//! A panic, most often of a library that a hostile or broken server confuses, costs what the task was doing. The task
//! starts again after a delay that grows while it panics again and again. A panic that a task repeats is logged once.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location};
use std::pin::pin;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::backoff::{Backoff, DELAY_MAX};
use crate::random::Random;

thread_local! {
    /// Set while a supervised task runs: what is known of its panics.
    static RUNNING: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

/// What is remembered of the panics of one task.
#[derive(Debug, Default)]
pub(crate) struct Panics {
    /// Where the last one happened.
    place: Option<(String, u32)>,
}

/// Whether a panic is to be logged: one that the running task has repeated is not. For the panic hook, which calls this
/// once per panic.
pub(crate) fn is_news(place: Option<&Location<'_>>) -> bool {
    RUNNING.with_borrow_mut(|running| {
        let (Some(panics), Some(place)) = (running, place) else {
            return true;
        };
        let place = Some((place.file().to_owned(), place.line()));
        let is_news = panics.place != place;
        panics.place = place;
        is_news
    })
}

impl Panics {
    /// Runs a future, and returns the message of the panic if it panics.
    pub(crate) async fn catch<F: Future>(&mut self, future: F) -> Result<F::Output, String> {
        let mut future = pin!(AssertUnwindSafe(future).catch_unwind());
        let caught = poll_fn(|cx| {
            let outer = RUNNING.replace(Some(std::mem::take(self)));
            let polled = future.as_mut().poll(cx);
            *self = RUNNING.replace(outer).unwrap_or_default();
            polled
        });
        caught.await.map_err(|payload| {
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            text.unwrap_or_else(|| "no message".to_owned())
        })
    }
}

/// Starts a task on this loop that ends when its future does, or when the handle is dropped. After a panic it starts again
/// with a future from `make`.
pub(crate) fn supervise<F: Future<Output = ()> + 'static>(
    task: &'static str,
    mut make: impl FnMut() -> F + 'static,
) -> AbortOnDropHandle<()> {
    let mut backoff = Backoff::seeded(Random::from_process().draw());
    let supervised = async move {
        let mut panics = Panics::default();
        let mut last = None;
        loop {
            let since = Instant::now();
            let Err(panic) = panics.catch(make()).await else {
                return;
            };
            if since.elapsed() > DELAY_MAX {
                backoff.reset();
            }
            if last.as_ref() != Some(&panic) {
                warn!(task, panic, "a background task panicked and starts again");
                last = Some(panic);
            }
            sleep(backoff.delay()).await;
        }
    };
    AbortOnDropHandle::new(tokio::task::spawn_local(supervised))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_task_that_panics_starts_again_after_growing_delays() {
        let starts = Rc::new(RefCell::new(Vec::new()));
        let begun = Instant::now();
        let task = supervise("test", {
            let starts = Rc::clone(&starts);
            move || {
                let starts = Rc::clone(&starts);
                async move {
                    starts.borrow_mut().push(begun.elapsed());
                    assert_eq!(starts.borrow().len(), 4, "not yet");
                }
            }
        });
        task.await.expect("it ends once its future ends");
        let starts = starts.take();
        let delays: Vec<Duration> = starts
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .collect();
        for (delay, nominal) in delays.iter().zip([50, 100, 200]) {
            let nominal = Duration::from_millis(nominal);
            assert!(
                *delay >= nominal * 8 / 10 && *delay <= nominal * 13 / 10,
                "{delays:?}"
            );
        }
    }

    /// Notes when it is dropped.
    struct Ends(Rc<Cell<bool>>);

    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn dropping_the_handle_ends_the_task() {
        let ended = Rc::new(Cell::new(false));
        let task = supervise("test", {
            let ended = Rc::clone(&ended);
            move || {
                let ends = Ends(Rc::clone(&ended));
                async move {
                    std::future::pending::<()>().await;
                    drop(ends);
                }
            }
        });
        tokio::task::yield_now().await;
        drop(task);
        tokio::task::yield_now().await;
        assert!(ended.get());
    }

    #[tokio::test(flavor = "local")]
    async fn only_a_panic_that_a_task_repeats_is_no_news() {
        let here = Location::caller();
        assert!(is_news(Some(here)) && is_news(Some(here)), "of no task");
        let mut panics = Panics::default();
        let heard = async || (is_news(Some(here)), is_news(Some(here)));
        assert_eq!(panics.catch(heard()).await, Ok((true, false)));
        assert_eq!(panics.catch(heard()).await, Ok((false, false)));
        let inner = async { Panics::default().catch(heard()).await };
        assert_eq!(
            panics.catch(inner).await,
            Ok(Ok((true, false))),
            "of another"
        );
        let message = panics.catch(async { panic!("over {}", 1) }).await;
        assert_eq!(message, Err::<(), _>("over 1".to_owned()));
    }
}
