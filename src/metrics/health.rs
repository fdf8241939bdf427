//! Lets a probe on another thread find out whether the loops are alive and accept calls.
//!
//! Each loop records the time regularly ([`Heartbeat::beat`]). A stuck loop stops doing so, which reveals it. A loop
//! that has ended no longer counts.

use std::path::PathBuf;
#[expect(
    clippy::disallowed_types,
    reason = "taken at start and by probes, never by a call"
)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, At};

/// A loop whose last heartbeat is older is stuck.
pub const LIVE_WITHIN: Duration = Duration::from_secs(10);

/// All loops of a process.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    loops: usize,
    stopping: CancellationToken,
    /// Too many calls are refused.
    refuses: AtomicBool,
    #[expect(
        clippy::disallowed_types,
        reason = "taken at start and by probes, never by a call"
    )]
    hearts: Mutex<Vec<Arc<Beat>>>,
}

/// Whether calls should be sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They should.
    Ready,
    /// Not every loop accepts calls yet.
    Starting,
    /// Too many calls are refused.
    Refusing,
    /// A loop is stuck.
    Stuck,
    /// The server was asked to stop.
    Draining,
}

impl Readiness {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Readiness::Ready => "ready",
            Readiness::Starting => "starting",
            Readiness::Refusing => "refusing calls",
            Readiness::Stuck => "stuck",
            Readiness::Draining => "draining",
        }
    }
}

/// The heartbeat of one loop.
#[derive(Debug)]
struct Beat {
    at: usize,
    /// Milliseconds since [`Health::started`].
    last: AtomicU64,
    accepts: AtomicBool,
    activity: Arc<Activity>,
    /// The folder in which the kernel tells about the loop's thread.
    thread: Option<PathBuf>,
}

/// A loop, for the thread that watches it.
#[derive(Debug)]
pub struct Watched {
    /// Its number.
    pub at: usize,
    /// The time since its last heartbeat.
    pub age: Duration,
    /// What it was at when it last said so.
    pub work: Option<At>,
    /// The folder in which the kernel tells about its thread.
    pub thread: Option<PathBuf>,
}

/// A loop's handle on its heartbeat; dropped when the loop ends.
#[derive(Debug)]
pub struct Heartbeat {
    beat: Arc<Beat>,
    started: Instant,
}

impl Health {
    pub(super) fn new(loops: usize, stopping: CancellationToken) -> Self {
        Health {
            started: Instant::now(),
            loops,
            stopping,
            refuses: AtomicBool::new(false),
            hearts: Vec::new().into(),
        }
    }

    /// The heart of the loop at `at`, with a first beat now.
    pub fn heart(&self, at: usize) -> Heartbeat {
        let heart = Heartbeat {
            beat: Arc::new(Beat {
                at,
                last: AtomicU64::new(0),
                accepts: AtomicBool::new(false),
                activity: Arc::default(),
                thread: std::fs::canonicalize("/proc/thread-self").ok(),
            }),
            started: self.started,
        };
        heart.beat();
        let mut hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        hearts.push(Arc::clone(&heart.beat));
        hearts.sort_by_key(|beat| beat.at);
        heart
    }

    /// Each running loop, with what it works on.
    pub fn watched(&self) -> Vec<Watched> {
        let now = self.started.elapsed();
        let watched = |beat: &Arc<Beat>| Watched {
            at: beat.at,
            age: beat.age(now),
            work: beat.activity.at(),
            thread: beat.thread.clone(),
        };
        self.running().iter().map(watched).collect()
    }

    /// Each running loop, with the time since its last heartbeat.
    pub fn ages(&self) -> Vec<(usize, Duration)> {
        let now = self.started.elapsed();
        let age = |beat: &Arc<Beat>| (beat.at, beat.age(now));
        self.running().iter().map(age).collect()
    }

    /// Whether calls should be sent to the server; the weightiest reason why not.
    pub fn readiness(&self) -> Readiness {
        if self.is_draining() {
            Readiness::Draining
        } else if self.ages().iter().any(|(_, age)| *age >= LIVE_WITHIN) {
            Readiness::Stuck
        } else if !self.is_ready() {
            Readiness::Starting
        } else if self.refuses.load(Ordering::Relaxed) {
            Readiness::Refusing
        } else {
            Readiness::Ready
        }
    }

    /// Records whether too many calls are refused.
    pub fn refuses(&self, too_many: bool) {
        self.refuses.store(too_many, Ordering::Relaxed);
    }

    /// Whether every loop accepts calls and the server was not asked to stop.
    pub fn is_ready(&self) -> bool {
        let running = self.running();
        let accepting = |beat: &&Arc<Beat>| beat.accepts.load(Ordering::Relaxed);
        !self.is_draining() && running.iter().filter(accepting).count() == self.loops
    }

    /// Whether the server was asked to stop.
    pub fn is_draining(&self) -> bool {
        self.stopping.is_cancelled()
    }

    fn running(&self) -> Vec<Arc<Beat>> {
        let mut hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        hearts.retain_mut(|beat| Arc::get_mut(beat).is_none());
        hearts.clone()
    }
}

impl Beat {
    /// How long ago it was at `now`, which is counted from the start.
    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

impl Heartbeat {
    /// Where the loop says what it works on.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.beat.activity
    }

    /// Records that the loop is alive.
    pub fn beat(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.last.store(now, Ordering::Relaxed);
    }

    /// Records that the loop accepts calls.
    pub fn accepts(&self) {
        self.beat.accepts.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stuck_loop_is_seen_and_an_ended_one_is_not() {
        let health = Health::new(2, CancellationToken::new());
        let (first, second) = (health.heart(0), health.heart(1));
        tokio::time::advance(LIVE_WITHIN).await;
        second.beat();
        assert_eq!(health.ages(), [(0, LIVE_WITHIN), (1, Duration::ZERO)]);
        drop(first);
        assert_eq!(health.ages(), [(1, Duration::ZERO)]);
    }

    #[test]
    fn the_server_is_ready_when_all_loops_accept_and_until_it_stops() {
        let stopping = CancellationToken::new();
        let health = Health::new(2, stopping.clone());
        let hearts = [health.heart(0), health.heart(1)];
        assert!(!health.is_ready());
        hearts[0].accepts();
        assert!(!health.is_ready());
        hearts[1].accepts();
        assert!(health.is_ready());
        stopping.cancel();
        assert!(!health.is_ready());
    }
}
