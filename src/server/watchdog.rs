//! Watches the loops from a thread of its own, and says which one stands still, for how long, and with what.
//!
//! A loop beats twenty times a second. One that has not done so for a while stands still, unless the machine gave it no
//! processor, which the kernel's own account of the thread tells (`/proc/self/task/*/schedstat` and `stat`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::periodic::Periodic;
use super::reload_progress::ReloadProgress;
use super::service_manager::ServiceManager;
use crate::log_limit::LogLimit;
use crate::metrics::{Metrics, Watched};

/// How often the loops are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A loop that has not beaten for so long stands still. It beats every 50 ms.
const STALLED_AFTER: Duration = Duration::from_millis(200);
/// If the watching thread itself was late by this much, the whole process stood still.
const LATE: Duration = Duration::from_millis(100);

/// Starts to watch, and to tell `manager`.
pub(super) fn start(
    metrics: &Arc<Metrics>,
    mut manager: Option<ServiceManager>,
    reloads: Arc<ReloadProgress>,
) -> io::Result<Periodic> {
    let metrics = Arc::clone(metrics);
    Periodic::start("watchdog", move |pauses| {
        let mut watch = Watch::default();
        let mut looked = Instant::now();
        let mut tell = || {
            if let Some(manager) = &mut manager {
                manager.look(metrics.health(), reloads.now());
            }
        };
        while pauses.pause(LOOK) {
            tell();
            let took = looked.elapsed();
            looked = Instant::now();
            if took < LOOK + LATE {
                watch.look(&metrics);
            } else {
                watch.forget();
            }
        }
        // A drain may have been shorter than a look.
        tell();
    })
}

/// What is known of each loop.
#[derive(Default)]
struct Watch {
    loops: Vec<Known>,
    log: LogLimit<()>,
}

struct Known {
    at: usize,
    /// The processor time that the loop had used when it last beat.
    before: Option<Duration>,
    /// It stands still, which has been said.
    is_said: bool,
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
                (known.before, known.is_said) = (ran(&watched), false);
            } else if !known.is_said && !lacks_processor(known.before, &watched) {
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

/// Whether a loop that had used so much processor time before waits for a processor. What is unknown says nothing.
fn lacks_processor(before: Option<Duration>, watched: &Watched) -> bool {
    let (Some(before), Some(now)) = (before, ran(watched)) else {
        return false;
    };
    // The kernel counts the time of waiting only when it is over.
    now.saturating_sub(before) < watched.age / 2 && could_run(watched)
}

/// How much processor time a loop has used.
fn ran(watched: &Watched) -> Option<Duration> {
    let path = watched.thread.as_ref()?.join("schedstat");
    first_number(&std::fs::read_to_string(path).ok()?)
}

/// Whether a loop runs, or would if it had a processor: it waits for nothing else.
fn could_run(watched: &Watched) -> bool {
    let stat = watched.thread.as_ref().map(|folder| folder.join("stat"));
    let stat = stat.and_then(|path| std::fs::read_to_string(path).ok());
    stat.is_some_and(|stat| state(&stat) == Some('R'))
}

/// Nanoseconds on a processor, of `schedstat`.
fn first_number(schedstat: &str) -> Option<Duration> {
    let first = schedstat.split_whitespace().next()?;
    Some(Duration::from_nanos(first.parse().ok()?))
}

/// The state of a thread, which follows its name in `stat`.
fn state(stat: &str) -> Option<char> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_a_thread_does() {
        assert_eq!(
            first_number("1500000 70 3\n"),
            Some(Duration::from_micros(1500))
        );
        assert_eq!(first_number(""), None);
        assert_eq!(state("12 (a) b) R 1 2"), Some('R'));
        assert_eq!(state("12"), None);
    }
}
