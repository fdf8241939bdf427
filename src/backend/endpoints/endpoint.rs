//! Keeps one endpoint: its client, its breaker, its load, its counts.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, warn};

use super::board::{EndpointCounts, EndpointOutcome};
use super::load::Load;
use super::target::Target;
use crate::backend::{LookupError, Verdict};
use crate::breaker::{Admission, Breaker, Change};
use crate::config::{BreakerConfig, GuardMode};
use crate::log_limit::LogLimit;
use crate::random::Random;

/// After so many questions in a row that others answered first, each further one counts as a failure: it never answers.
const LOST_MAX: u32 = 10;

/// What asks one endpoint.
pub(in crate::backend) trait Client {
    /// Whether it is known that there is no connection and none is about to be made: a question would fail at once.
    fn is_down(&self) -> bool;

    /// Whether the last attempt to connect failed, although it may be time for the next one.
    fn is_unreachable(&self) -> bool {
        self.is_down()
    }
}

/// One server, and what is known of it.
pub(super) struct Endpoint<C> {
    pub(super) target: Target,
    /// Its address, for metrics and the log.
    pub(super) label: Arc<str>,
    pub(super) client: C,
    pub(super) load: Load,
    /// Of its address, for `balance = "hash"`.
    pub(super) hash: u64,
    pub(super) counts: EndpointCounts,
    backend: Arc<str>,
    /// `None` if it is off.
    breaker: Option<RefCell<Breaker>>,
    enforces: bool,
    /// Questions since its last answer that another endpoint answered first.
    lost: Cell<u32>,
    /// It is ejected only because others were always sooner: it may be slow, and nothing else.
    may_be_slow: Cell<bool>,
    log_limit: LogLimit<Change>,
}

impl<C: Client> Endpoint<C> {
    pub(super) fn new(
        (backend, target): (&Arc<str>, Target),
        client: C,
        breaker: &BreakerConfig,
        seed: u64,
    ) -> Self {
        let label: Arc<str> = target.to_string().into();
        let has_breaker = breaker.mode != GuardMode::Off;
        Endpoint {
            hash: hash_of(label.as_bytes()),
            label,
            target,
            client,
            load: Load::new(),
            counts: EndpointCounts::new(),
            backend: Arc::clone(backend),
            breaker: has_breaker.then(|| Breaker::new(breaker.settings, seed).into()),
            enforces: breaker.mode == GuardMode::Enforce,
            lost: Cell::new(0),
            may_be_slow: Cell::new(false),
            log_limit: LogLimit::default(),
        }
    }

    /// Whether it takes the next question. While its breaker is open it takes one from time to time; `is_last`: regularly,
    /// because no other endpoint can. While it is half-open it takes a few, and after that a share of the questions that grows.
    pub(super) fn admits(&self, random: &mut Random, now: Instant, is_last: bool) -> Admission {
        let Some(breaker) = &self.breaker else {
            return Admission::Pass;
        };
        let mut breaker = breaker.borrow_mut();
        if breaker.is_calm() {
            return Admission::Pass;
        }
        let admission = if is_last && self.may_be_slow.get() {
            Admission::Pass
        } else if breaker.is_open() {
            breaker.admit(now, now, is_last)
        } else if is_last || random.chance(breaker.share(now)) {
            Admission::Pass
        } else {
            Admission::Refuse
        };
        if self.enforces {
            admission
        } else {
            Admission::Pass
        }
    }

    /// Whether it is ejected, and gets probes at most.
    pub(super) fn is_ejected(&self) -> bool {
        let is_open = |breaker: &RefCell<Breaker>| breaker.borrow().is_open();
        self.enforces && self.breaker.as_ref().is_some_and(is_open)
    }

    /// Shows to scrapes whether it can be reached.
    pub(super) fn show_reach(&self) {
        self.counts.set_reachable(!self.client.is_unreachable());
    }

    /// A question that began at `began` has ended. `late`: its time was over, and it had enough of it.
    pub(super) fn ended(
        &self,
        began: Instant,
        outcome: EndpointOutcome,
        why: Option<&LookupError>,
    ) {
        self.load.ends();
        self.counts.count(outcome);
        let now = Instant::now();
        if outcome == EndpointOutcome::Ok {
            self.load.took(now.saturating_duration_since(began), now);
            self.lost.set(0);
        }
        let Some(breaker) = &self.breaker else {
            return;
        };
        let changed = match outcome {
            EndpointOutcome::Ok => breaker.borrow_mut().succeeded(began, now),
            EndpointOutcome::Failed | EndpointOutcome::Late => {
                self.may_be_slow.set(false);
                breaker.borrow_mut().failed(began, now)
            }
            EndpointOutcome::Other => {
                breaker.borrow_mut().told_nothing(began);
                None
            }
        };
        if let Some(change) = changed {
            self.changed(change, why);
        }
    }

    /// A question that was to begin at `began` is not asked after all.
    pub(super) fn withdrawn(&self, began: Instant) {
        self.load.ends();
        if let Some(breaker) = &self.breaker {
            breaker.borrow_mut().told_nothing(began);
        }
    }

    /// Another endpoint has answered a question that this one was asked at `began`. To be slower says nothing, but never to
    /// answer does.
    pub(super) fn lost(&self, began: Instant) {
        let now = Instant::now();
        self.load.took(now.saturating_duration_since(began), now);
        self.lost.set(self.lost.get().saturating_add(1));
        let Some(breaker) = self.breaker.as_ref().filter(|_| self.lost.get() > LOST_MAX) else {
            return;
        };
        let changed = breaker.borrow_mut().failed(began, now);
        if let Some(change) = changed {
            self.may_be_slow.set(true);
            self.changed(change, None);
        }
    }

    #[cold]
    fn changed(&self, change: Change, why: Option<&LookupError>) {
        match change {
            Change::Opened => self.counts.ejected(),
            Change::Closed => self.counts.set_up(true),
        }
        let Some(suppressed) = self.log_limit.allow(change) else {
            return;
        };
        let (backend, endpoint, enforces) = (&*self.backend, &*self.label, self.enforces);
        match change {
            Change::Opened => {
                let detail = match why {
                    Some(why) => &*why.detail,
                    None if self.may_be_slow.get() => "others were always sooner",
                    None => "no answer in time",
                };
                warn!(
                    backend,
                    endpoint, detail, enforces, suppressed, "endpoint is ejected"
                );
            }
            Change::Closed => {
                info!(
                    backend,
                    endpoint, enforces, suppressed, "endpoint is asked again"
                );
            }
        }
    }
}

/// What the outcome of a question says about its endpoint.
pub(super) fn outcome_of<T>(outcome: &Result<T, LookupError>, is_patient: bool) -> EndpointOutcome {
    let verdict = match outcome {
        Ok(_) => Verdict::Works,
        Err(err) => err.verdict(),
    };
    match verdict {
        Verdict::Works => EndpointOutcome::Ok,
        Verdict::Fails => EndpointOutcome::Failed,
        Verdict::Late if is_patient => EndpointOutcome::Late,
        Verdict::Late | Verdict::Nothing => EndpointOutcome::Other,
    }
}

/// The same in every process, so that all servers send a question to the same endpoint: FNV-1a.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
