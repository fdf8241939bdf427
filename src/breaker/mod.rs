//! Decides whether a server that has failed gets questions: one state machine for stores and for single endpoints.
//!
//! In: how each question ended, and when it began. Out: whether the next one may be asked. A breaker is *closed* while its
//! server works. It *opens* after several failures in a row, or once too few of the last questions succeed. While it is open,
//! a question is let through from time to time, as a probe. A probe that succeeds makes it *half-open*: it lets through as many
//! questions at a time as have succeeded, until enough have in a row. Then it closes. One that fails opens it for twice as
//! long. Once it has closed, the server's share of the traffic *rises* for a while, if others can take the rest.
//!
//! Pure: time is passed in, and randomness comes from a seed. What counts as a failure is the caller's decision.

mod half_open; // after a probe that has succeeded
mod window; // the last outcomes
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use self::half_open::{HalfOpen, enough};
use self::window::Window;
use crate::random::Random;

/// How long a probe has before the next one is let through, whatever a half-open breaker still waits for; while nothing else
/// answers, also how long an open breaker waits for its first one. Shorter by up to half, at random.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long the share of the traffic rises after a breaker has closed.
pub(crate) const RISE: Duration = Duration::from_secs(10);
/// The share at the beginning.
const SHARE_MIN: f64 = 0.1;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// So many failures in a row open it; with 0, none do.
    pub consecutive: u32,
    /// A smaller share of successes within the window opens it; with 0, none does.
    pub success_min: f64,
    /// How long outcomes are remembered for that share.
    pub window: Duration,
    /// With fewer outcomes, the share means nothing. So many successes in a row close it, or fewer.
    pub calls_min: u32,
    /// How long it stays open the first time.
    pub open_min: Duration,
    /// It stays open twice as long each time, up to this.
    pub open_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            consecutive: 5,
            success_min: 0.8,
            window: Duration::from_secs(30),
            calls_min: 20,
            open_min: Duration::from_secs(1),
            open_max: Duration::from_secs(30),
        }
    }
}

/// Whether a question may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The server works.
    Pass,
    /// As a probe: its outcome decides. It has to be asked, or [`Breaker::told_nothing`].
    Probe,
    /// Not now.
    Refuse,
}

/// A change that an outcome has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was closed.
    Opened,
    /// It was half-open.
    Closed,
}

/// The breaker of one server.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: Settings,
    window: Window,
    /// Failures since the last success.
    consecutive: u32,
    state: State,
    /// How often it has opened since it was last closed for long.
    opened: u32,
    random: Random,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        /// When the last probe was let through, or when it opened.
        waits_since: Instant,
        /// When the next probe is due.
        probe_at: Instant,
        /// When the first probe since it opened began. What began earlier says nothing new.
        probed: Option<Instant>,
    },
    HalfOpen(HalfOpen),
    /// Closed again.
    Rising {
        /// What began earlier says nothing new.
        since: Instant,
        /// When it closed.
        closed: Instant,
    },
}

impl Breaker {
    /// Closed.
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Breaker {
            settings,
            window: Window::new(settings.window),
            consecutive: 0,
            state: State::Closed,
            opened: 0,
            random: Random::seeded(seed),
        }
    }

    /// Whether a question that began at `began` may be asked `now`. `is_last`: nothing else could answer it, so that probes are
    /// let through regularly however long the breaker is to stay open.
    pub(crate) fn admit(&mut self, began: Instant, now: Instant, is_last: bool) -> Admission {
        let random = &mut self.random;
        let mut every = || PROBE_EVERY / 2 + jitter(random, PROBE_EVERY / 2);
        match &mut self.state {
            State::Closed | State::Rising { .. } => return Admission::Pass,
            State::Open {
                waits_since,
                probe_at,
                probed,
            } => {
                let every = every();
                let is_due = now >= *probe_at || is_last && now >= *waits_since + every;
                if !is_due {
                    return Admission::Refuse;
                }
                *waits_since = now;
                *probe_at = now + every;
                probed.get_or_insert(began);
            }
            State::HalfOpen(half) => {
                if !half.admits(now, every) {
                    return Admission::Refuse;
                }
            }
        }
        Admission::Probe
    }

    /// A question that began at `began` has succeeded.
    pub(crate) fn succeeded(&mut self, began: Instant, now: Instant) -> Option<Change> {
        if !self.is_news(began) {
            return None;
        }
        self.consecutive = 0;
        match self.state {
            State::Open { .. } => {
                let enough = enough(self.settings.success_min, self.settings.calls_min);
                return self.tried(HalfOpen::new(enough, began, now), now);
            }
            State::HalfOpen(half) => return self.tried(half, now),
            State::Rising { closed, .. } if now >= closed + RISE => {
                self.opened = 0;
                self.state = State::Closed;
            }
            State::Closed | State::Rising { .. } => {}
        }
        self.window.add(now, true);
        None
    }

    /// A question that began at `began` has failed.
    pub(crate) fn failed(&mut self, began: Instant, now: Instant) -> Option<Change> {
        if !self.is_news(began) {
            return None;
        }
        if self.is_open() {
            self.open(now);
            return None;
        }
        if matches!(self.state, State::Rising { closed, .. } if now >= closed + RISE) {
            self.opened = 0;
            self.state = State::Closed;
        }
        self.consecutive = self.consecutive.saturating_add(1);
        self.window.add(now, false);
        let in_a_row = self.settings.consecutive;
        let trips = in_a_row > 0 && self.consecutive >= in_a_row || self.has_few_successes(now);
        trips.then(|| {
            self.open(now);
            Change::Opened
        })
    }

    /// A question that began at `began` has ended, or was not asked after all, and says nothing of the server. Another one may
    /// have its place.
    pub(crate) fn told_nothing(&mut self, began: Instant) {
        if let State::HalfOpen(half) = &mut self.state {
            half.told_nothing(began);
        }
    }

    /// Whether questions are refused: it is open or half-open.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::HalfOpen(_))
    }

    /// Whether it is closed and gets its whole share of the traffic.
    pub(crate) fn is_calm(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The share of the traffic that the server should get if others can take the rest.
    pub(crate) fn share(&self, now: Instant) -> f64 {
        match self.state {
            State::Closed => 1.0,
            State::Open { .. } | State::HalfOpen(_) => 0.0,
            State::Rising { closed, .. } => {
                let risen =
                    now.saturating_duration_since(closed).as_secs_f64() / RISE.as_secs_f64();
                (SHARE_MIN + (1.0 - SHARE_MIN) * risen).min(1.0)
            }
        }
    }

    /// Whether an outcome tells anything: a question that began before the breaker last changed is from another time.
    fn is_news(&self, began: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { probed, .. } => probed.is_some_and(|probed| began >= probed),
            State::HalfOpen(HalfOpen { since, .. }) | State::Rising { since, .. } => began >= since,
        }
    }

    /// A question has succeeded while it was open or half-open.
    fn tried(&mut self, mut half: HalfOpen, now: Instant) -> Option<Change> {
        if !half.succeeded(now) {
            self.state = State::HalfOpen(half);
            return None;
        }
        self.state = State::Rising {
            since: half.since,
            closed: now,
        };
        self.window.clear();
        Some(Change::Closed)
    }

    fn has_few_successes(&mut self, now: Instant) -> bool {
        let (succeeded, failed) = self.window.counts(now);
        let all = succeeded + failed;
        all >= self.settings.calls_min
            && f64::from(succeeded) < self.settings.success_min * f64::from(all)
    }

    /// Opens it, or keeps it open for twice as long: with equal jitter, half of the time is fixed and half is random.
    fn open(&mut self, now: Instant) {
        let doublings = self.opened.min(20);
        let whole = self.settings.open_min * 2_u32.pow(doublings);
        let whole = whole.min(self.settings.open_max);
        self.opened = self.opened.saturating_add(1);
        self.state = State::Open {
            waits_since: now,
            probe_at: now + whole / 2 + jitter(&mut self.random, whole / 2),
            probed: None,
        };
        self.consecutive = 0;
        self.window.clear();
    }
}

/// A random part of `most`.
fn jitter(random: &mut Random, most: Duration) -> Duration {
    let thousandths = u32::try_from(random.draw() % 1001).unwrap_or(0);
    most * thousandths / 1000
}
