//! Watches the loops from a thread of its own, and says which one stands still, for how long, and with what.
//!
//! A loop beats twenty times a second. One that has not done so for a while stands still, unless the machine gave it no
//! processor, which the kernel's own account of the thread tells (`/proc/self/task/*/schedstat`).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::log_limit::LogLimit;
use crate::metrics::{Metrics, Watched};

/// How often the loops are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A loop that has not beaten for so long stands still. It beats every 50 ms.
const STALLED_AFTER: Duration = Duration::from_millis(200);
/// If the watching thread itself was late by this much, the whole process stood still.
const LATE: Duration = Duration::from_millis(100);

/// The watching thread. It ends when this is dropped.
pub(super) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts to watch.
    pub(super) fn start(metrics: &Arc<Metrics>) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let metrics = Arc::clone(metrics);
        let watch = move || {
            let mut watch = Watch::default();
            let mut looked = Instant::now();
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let took = looked.elapsed();
                looked = Instant::now();
                if took < LOOK + LATE {
                    watch.look(&metrics);
                } else {
                    watch.forget();
                }
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".into());
        Ok(Watchdog {
            stop: Some(stop),
            thread: Some(thread.spawn(watch)?),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends within one look.
            let _ended = thread.join();
        }
    }
}

/// What is known of each loop.
#[derive(Default)]
struct Watch {
    loops: Vec<Known>,
    log: LogLimit<()>,
}

struct Known {
    at: usize,
    /// The processor time that the loop had used and waited for when it last beat.
    before: Option<Times>,
    /// It stands still, which has been said.
    is_said: bool,
}

/// The processor time of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    ran: Duration,
    waited: Duration,
}

impl Watch {
    fn look(&mut self, metrics: &Metrics) {
        let watched = metrics.health().watched();
        self.loops
            .retain(|known| watched.iter().any(|watched| watched.at == known.at));
        for watched in watched {
            let place = self.loops.iter().position(|known| known.at == watched.at);
            let place = place.unwrap_or_else(|| {
                self.loops.push(Known {
                    at: watched.at,
                    before: None,
                    is_said: false,
                });
                self.loops.len() - 1
            });
            let known = &mut self.loops[place];
            if watched.age < STALLED_AFTER {
                (known.before, known.is_said) = (times(&watched), false);
            } else if !known.is_said && !lacked_processor(known.before, times(&watched)) {
                known.is_said = true;
                self.say(metrics, &watched);
            }
        }
    }

    fn forget(&mut self) {
        self.loops.clear();
    }

    fn say(&mut self, metrics: &Metrics, watched: &Watched) {
        let method = watched
            .work
            .as_ref()
            .and_then(|work| work.method.as_deref());
        metrics.stalled(method.unwrap_or_default());
        let Some(suppressed) = self.log.allow(()) else {
            return;
        };
        let work = watched.work.as_ref();
        warn!(
            r#loop = watched.at,
            stands_still_ms = u64::try_from(watched.age.as_millis()).unwrap_or(u64::MAX),
            method = method.unwrap_or("-"),
            lookup = work.and_then(|work| work.lookup.as_deref()).unwrap_or("-"),
            at = work.map_or("-", |work| work.phase),
            suppressed,
            "an event loop stands still: every call on it waits"
        );
    }
}

/// Whether a thread waited for a processor for most of the time. Unknown times say nothing.
fn lacked_processor(before: Option<Times>, now: Option<Times>) -> bool {
    let (Some(before), Some(now)) = (before, now) else {
        return false;
    };
    now.waited.saturating_sub(before.waited) > now.ran.saturating_sub(before.ran)
}

fn times(watched: &Watched) -> Option<Times> {
    let path = watched.thread.as_ref()?.join("schedstat");
    parse(&std::fs::read_to_string(path).ok()?)
}

/// Nanoseconds on a processor, nanoseconds waited for one, and a count.
fn parse(schedstat: &str) -> Option<Times> {
    let mut numbers = schedstat.split_whitespace().map(str::parse);
    let mut next = || Some(Duration::from_nanos(numbers.next()?.ok()?));
    Some(Times {
        ran: next()?,
        waited: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_processor_does_not_stand_still() {
        let millis = |ran, waited| {
            parse(&format!("{} {} 7\n", ran * 1_000_000, waited * 1_000_000)).expect("two numbers")
        };
        let before = Some(millis(10, 10));
        assert!(lacked_processor(before, Some(millis(20, 200))));
        assert!(!lacked_processor(before, Some(millis(200, 20))));
        assert!(!lacked_processor(before, Some(millis(10, 10))), "it sleeps");
        assert!(!lacked_processor(before, None));
        assert_eq!(parse("1"), None);
    }
}
