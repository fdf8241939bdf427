//! Asks one of the endpoints, and another one if that is allowed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::board::{Board, Retried};
use super::config::{Balance, Config};
use super::endpoint::{Client, Endpoint, hash_of};
use super::pick::Choose;
use super::set::Set;
use super::target::Target;
use super::watch;
use crate::backend::{Answer, Ask, GivenUp, LookupError, OnLoop};
use crate::timeline::AskedEndpoints;
use crate::value::Value;

/// So many other endpoints are asked for a question that could not be sent.
const ELSEWHERE_MAX: usize = 2;

/// The endpoints of one backend on one loop, and the task that keeps them current.
pub(in crate::backend) struct Endpoints<C> {
    set: Rc<Set<C>>,
    /// Ends when dropped.
    _watching: AbortOnDropHandle<()>,
}

/// Which endpoints were asked the same question. Until one fails, nothing is allocated.
pub(super) struct Tried<C> {
    endpoints: RefCell<Vec<Rc<Endpoint<C>>>>,
    /// Each is noted when it is asked, and not only when it has failed.
    at_once: bool,
    /// Since then no other one is asked in turn: one is asked at the same time.
    hedged_at: Cell<Option<Instant>>,
    /// How many were asked.
    attempts: Cell<u8>,
    /// Told how many there were, if the question is given up.
    given_up: GivenUp,
}

impl<C: Client + 'static> Endpoints<C> {
    /// Finds the endpoints, for a moment at most, and keeps them current from then on. `make` makes the client of each.
    pub(in crate::backend) async fn start(
        config: &Config,
        on: &OnLoop,
        make: impl Fn(&Target, &OnLoop) -> C + 'static,
    ) -> Self {
        let set = Rc::new(Set::new(config, on, Box::new(make)));
        let watching = watch::start(config, &set).await;
        Endpoints {
            set,
            _watching: watching,
        }
    }

    /// Asks an endpoint with `attempt`. If it can't be reached, asks others; if it fails in another way that may be
    /// retried, asks once more. `hash` is that of [`Endpoints::hash`].
    pub(in crate::backend) async fn ask(
        &self,
        hash: Option<u64>,
        ask: &Ask<'_>,
        attempt: impl AsyncFn(&C) -> Result<Answer, LookupError>,
    ) -> Result<Answer, LookupError> {
        let tried = Tried::new(self.set.given_up());
        self.ask_in_turn(hash, ask, &tried, attempt).await
    }

    /// As [`Endpoints::ask`], none of those that were `tried`.
    pub(super) async fn ask_in_turn(
        &self,
        hash: Option<u64>,
        ask: &Ask<'_>,
        tried: &Tried<C>,
        attempt: impl AsyncFn(&C) -> Result<Answer, LookupError>,
    ) -> Result<Answer, LookupError> {
        let set = &*self.set;
        set.retries.asked();
        let mut asked = set.pick(hash, ask, &[], Choose::Any)?;
        let mut is_retried = false;
        loop {
            tried.asks(asked.endpoint());
            let outcome = attempt(asked.client()).await;
            let endpoint = asked.ended(&outcome);
            let err = match outcome {
                Ok(answer) => return Ok(answer.of_endpoints(tried.asked(&endpoint.label))),
                Err(err) => err,
            };
            if err.asks_for_patience() {
                set.hedges.pushed_back();
            }
            let label = Arc::clone(&endpoint.label);
            if tried.hedged_at.get().is_some() {
                return Err(err.of_endpoints(Some(tried.asked(&label))));
            }
            tried.has_failed(endpoint);
            let pick = |choose| tried.with(|not| set.pick(hash, ask, not, choose));
            let elsewhere = err.was_not_sent() && tried.with(<[_]>::len) <= ELSEWHERE_MAX;
            let elsewhere = elsewhere.then(|| pick(Choose::Fit).ok());
            if let Some(other) = elsewhere.flatten() {
                set.board.retried(Retried::Elsewhere);
                asked = other;
            } else if !is_retried
                && set.retries.allow(&err, ask)
                && let Ok(other) = pick(Choose::Any)
            {
                is_retried = true;
                asked = other;
            } else {
                return Err(err.of_endpoints(Some(tried.asked(&label))));
            }
            let (backend, code) = (set.backend(), err.code);
            debug!(backend, endpoint = &*label, %code, "a lookup is asked once more");
        }
    }

    /// The endpoints in use.
    pub(super) fn set(&self) -> &Set<C> {
        &self.set
    }

    /// Whether each further attempt is counted against a budget.
    pub(in crate::backend) fn has_retry_budget(&self) -> bool {
        self.set.config.retry.is_some()
    }

    /// The hash by which `balance = "hash"` finds the endpoint, if that is configured.
    pub(in crate::backend) fn hash(&self, params: &[Value], hash_on: Option<usize>) -> Option<u64> {
        if !matches!(self.set.config.balance, Balance::Hash(_)) {
            return None;
        }
        let value = params.get(hash_on?)?;
        Some(match value {
            Value::Text(text) => hash_of(text.as_bytes()),
            Value::Bytes(bytes) => hash_of(bytes),
            // A number is the same as its text.
            Value::I64(number) => hash_of(number.to_string().as_bytes()),
            other => hash_of(format!("{other:?}").as_bytes()),
        })
    }

    /// The counts.
    pub(in crate::backend) fn board(&self) -> &Board {
        &self.set.board
    }

    /// The clients in use, in the order of their addresses.
    #[cfg(test)]
    pub(super) fn labels(&self) -> Vec<String> {
        let shown = self.set.board.endpoints().into_iter();
        shown.map(|shown| shown.endpoint.to_string()).collect()
    }
}

impl<C> Tried<C> {
    /// None.
    fn new(given_up: &GivenUp) -> Self {
        Tried {
            endpoints: RefCell::default(),
            at_once: false,
            hedged_at: Cell::new(None),
            attempts: Cell::new(0),
            given_up: given_up.clone(),
        }
    }

    /// None, of those that will be asked.
    pub(super) fn noting_at_once(given_up: &GivenUp) -> Self {
        let mut tried = Tried::new(given_up);
        tried.at_once = true;
        tried
    }
}

impl<C> Drop for Tried<C> {
    fn drop(&mut self) {
        let hedged_at = self.hedged_at.get();
        self.given_up.say_how_often(self.attempts.get(), hedged_at);
    }
}

impl<C: Client> Tried<C> {
    /// Shows those that were tried.
    pub(super) fn with<R>(&self, show: impl FnOnce(&[Rc<Endpoint<C>>]) -> R) -> R {
        show(&self.endpoints.borrow())
    }

    /// The one that is being asked is the last: another question goes elsewhere at the same time.
    pub(super) fn ends(&self) {
        self.hedged_at.set(Some(Instant::now()));
        self.count();
    }

    /// Those that were asked so far, of which this one has answered or failed last.
    pub(super) fn asked(&self, last: &Arc<str>) -> AskedEndpoints<Instant> {
        let hedged_at = self.hedged_at.get();
        AskedEndpoints {
            last: Some(Arc::clone(last)),
            attempts: self.attempts.get(),
            hedged: hedged_at.is_some(),
            hedged_at,
        }
    }

    fn count(&self) {
        self.attempts.set(self.attempts.get().saturating_add(1));
    }

    /// Another one has answered what the last one was asked at `began`.
    pub(super) fn lost(&self, began: Instant) {
        if let Some(endpoint) = self.endpoints.borrow().last() {
            endpoint.lost(began);
        }
    }

    fn asks(&self, endpoint: &Rc<Endpoint<C>>) {
        self.count();
        if self.at_once {
            self.endpoints.borrow_mut().push(Rc::clone(endpoint));
        }
    }

    fn has_failed(&self, endpoint: Rc<Endpoint<C>>) {
        if !self.at_once {
            self.endpoints.borrow_mut().push(endpoint);
        }
    }
}
