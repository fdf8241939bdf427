//! Counts what endpoints do, for scrapes on another thread: a series per endpoint as long as it is in use.

#[expect(
    clippy::disallowed_types,
    reason = "taken when the set of endpoints changes and by scrapes, never by a call"
)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How a question to an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointOutcome {
    /// The endpoint answered, whatever it said.
    Ok,
    /// No connection, or no proper answer.
    Failed,
    /// No answer in time.
    Late,
    /// The question tells nothing about the endpoint: it was cancelled, or not sent.
    Other,
}

impl EndpointOutcome {
    /// Every outcome in the order of its number.
    pub const ALL: [&'static str; 4] = ["ok", "failed", "late", "other"];
}

/// What came of asking a source for its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// It named servers.
    Ok,
    /// It named none, which removes no endpoint.
    Empty,
    /// It gave no answer, which removes no endpoint.
    Failed,
}

impl Discovery {
    /// Every outcome in the order of its number.
    pub const ALL: [&'static str; 3] = ["ok", "empty", "failed"];
}

/// What came of the wish to ask once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// Another endpoint was asked.
    Yes,
    /// The budget was used up.
    NoBudget,
    /// Too little time was left.
    NoTime,
    /// Another endpoint was asked because the first could not be reached. That needs no budget.
    Elsewhere,
}

impl Retried {
    /// Every outcome in the order of its number.
    pub const ALL: [&'static str; 4] = ["retried", "no_budget", "no_time", "elsewhere"];
}

/// What came of the wish to ask a second endpoint because the first was slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    /// It was asked, and answered first.
    Won,
    /// It was asked, and the first one answered first.
    Lost,
    /// It was asked, and none of both answered.
    Failed,
    /// The budget was used up.
    NoBudget,
    /// There was no other endpoint that works.
    NoEndpoint,
    /// A server has just asked for patience.
    PushedBack,
    /// It would have been asked.
    Measured,
}

impl Hedged {
    /// Every outcome in the order of its number.
    pub const ALL: [&'static str; 7] = [
        "won",
        "lost",
        "failed",
        "no_budget",
        "no_endpoint",
        "pushed_back",
        "measured",
    ];
}

/// After the counts of outcomes: how often its breaker opened, whether that lets it be asked, and whether it can be
/// reached.
const EJECTED: usize = EndpointOutcome::ALL.len();
const UP: usize = EJECTED + 1;
const REACHABLE: usize = UP + 1;
const SLOTS: usize = REACHABLE + 1;

/// The counts of one endpoint. Its loop is the only writer.
#[derive(Clone, Debug)]
pub(super) struct EndpointCounts(Arc<[AtomicU64]>);

impl EndpointCounts {
    pub(super) fn new() -> Self {
        let counts = EndpointCounts((0..SLOTS).map(|_| AtomicU64::new(0)).collect());
        counts.set_up(true);
        counts.set_reachable(true);
        counts
    }

    pub(super) fn count(&self, outcome: EndpointOutcome) {
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ejected(&self) {
        self.0[EJECTED].fetch_add(1, Ordering::Relaxed);
        self.set_up(false);
    }

    pub(super) fn set_up(&self, up: bool) {
        self.0[UP].store(up.into(), Ordering::Relaxed);
    }

    pub(super) fn set_reachable(&self, reachable: bool) {
        self.0[REACHABLE].store(reachable.into(), Ordering::Relaxed);
    }
}

/// The counts of all endpoints of one backend on one loop.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    #[expect(
        clippy::disallowed_types,
        reason = "taken when the set of endpoints changes and by scrapes, never by a call"
    )]
    endpoints: Mutex<Vec<(Arc<str>, EndpointCounts)>>,
    discovery: [AtomicU64; Discovery::ALL.len()],
    retries: [AtomicU64; Retried::ALL.len()],
    hedges: [AtomicU64; Hedged::ALL.len()],
    made: Instant,
    /// When a source last named servers, in milliseconds since `made`.
    named: AtomicU64,
}

/// What a scrape shows of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its address.
    pub endpoint: Arc<str>,
    /// By [`EndpointOutcome`].
    pub outcomes: [u64; EndpointOutcome::ALL.len()],
    /// How often its breaker opened.
    pub ejected: u64,
    /// Whether it is asked: it is not ejected, and the last attempt to connect did not fail.
    pub up: bool,
}

impl Board {
    pub(super) fn new() -> Self {
        Board(Arc::new(Inner {
            endpoints: Vec::new().into(),
            discovery: Default::default(),
            retries: Default::default(),
            hedges: Default::default(),
            made: Instant::now(),
            named: AtomicU64::new(0),
        }))
    }

    /// Shows these endpoints from now on.
    pub(super) fn show(&self, endpoints: Vec<(Arc<str>, EndpointCounts)>) {
        let mut shown = self
            .0
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *shown = endpoints;
    }

    pub(super) fn discovered(&self, what: Discovery) {
        self.0.discovery[what as usize].fetch_add(1, Ordering::Relaxed);
        if what == Discovery::Ok {
            let since = u64::try_from(self.0.made.elapsed().as_millis());
            self.0
                .named
                .store(since.unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    pub(super) fn retried(&self, what: Retried) {
        self.0.retries[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hedged(&self, what: Hedged) {
        self.0.hedges[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often a second endpoint was to be asked, by [`Hedged`].
    pub fn hedges(&self) -> [u64; Hedged::ALL.len()] {
        std::array::from_fn(|at| self.0.hedges[at].load(Ordering::Relaxed))
    }

    /// How often a question was to be asked once more, by [`Retried`].
    pub fn retries(&self) -> [u64; Retried::ALL.len()] {
        std::array::from_fn(|at| self.0.retries[at].load(Ordering::Relaxed))
    }

    /// What is known of each endpoint.
    pub fn endpoints(&self) -> Vec<Shown> {
        let endpoints = self
            .0
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let shown = endpoints.iter().map(|(endpoint, EndpointCounts(slots))| {
            let get = |at: usize| slots[at].load(Ordering::Relaxed);
            Shown {
                endpoint: Arc::clone(endpoint),
                outcomes: std::array::from_fn(get),
                ejected: get(EJECTED),
                up: get(UP) > 0 && get(REACHABLE) > 0,
            }
        });
        shown.collect()
    }

    /// How often a source was asked, by [`Discovery`].
    pub fn discovery(&self) -> [u64; Discovery::ALL.len()] {
        std::array::from_fn(|at| self.0.discovery[at].load(Ordering::Relaxed))
    }

    /// How long ago a source last named servers, or this backend was made.
    pub fn age(&self) -> Duration {
        let named = Duration::from_millis(self.0.named.load(Ordering::Relaxed));
        self.0.made.elapsed().saturating_sub(named)
    }

    /// Whether nothing counts here any more.
    pub fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}
