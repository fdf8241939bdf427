//! Keeps the endpoints in use, and chooses the one for a question.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::info;

use super::board::{Board, EndpointOutcome};
use super::config::Config;
use super::endpoint::{Client, Endpoint, outcome_of};
use super::hedges::Hedges;
use super::pick::{Choice, Choose, Chosen, List};
use super::retry::Retries;
use super::target::Target;
use crate::backend::{Ask, GivenUp, LookupError, OnLoop};
use crate::error::Code;
use crate::random::Random;

/// Makes the client of a server.
pub(super) type Make<C> = Box<dyn Fn(&Target, &OnLoop) -> C>;

/// The endpoints in use.
pub(super) struct Set<C> {
    make: Make<C>,
    on: OnLoop,
    pub(super) config: Config,
    list: RefCell<List<C>>,
    /// Why there is no endpoint, as long as there never was one.
    why_empty: RefCell<String>,
    random: RefCell<Random>,
    turn: Cell<u64>,
    pub(super) retries: Retries,
    pub(super) hedges: Hedges,
    pub(super) board: Board,
    /// No endpoint works: others are wanted.
    pub(super) wanted: Notify,
}

/// A question under way at one endpoint. If it is dropped, the question was given up.
pub(super) struct Asked<C: Client> {
    endpoint: Rc<Endpoint<C>>,
    began: Instant,
    deadline: Instant,
    is_patient: bool,
    is_open: bool,
    given_up: GivenUp,
}

impl<C: Client> Set<C> {
    /// No endpoint yet.
    pub(super) fn new(config: &Config, on: &OnLoop, make: Make<C>) -> Self {
        let mut random = Random::seeded(on.seed);
        let board = Board::new();
        Set {
            make,
            on: on.seeded(random.draw()),
            config: config.clone(),
            list: RefCell::new(List::new(Vec::new())),
            why_empty: RefCell::new("it is not known yet where the servers are".into()),
            turn: Cell::new(random.draw()),
            retries: Retries::new(config.retry, board.clone()),
            hedges: Hedges::new(board.clone()),
            board,
            random: RefCell::new(random),
            wanted: Notify::new(),
        }
    }

    /// Hears which endpoints a question was given up by.
    pub(super) fn given_up(&self) -> &GivenUp {
        &self.on.given_up
    }

    /// Chooses the endpoint of a question, which begins now. None of `not`, if there is another.
    pub(super) fn pick(
        &self,
        hash: Option<u64>,
        ask: &Ask<'_>,
        not: &[Rc<Endpoint<C>>],
        choose: Choose,
    ) -> Result<Asked<C>, LookupError> {
        let now = Instant::now();
        let mut turn = self.turn.get();
        let chosen = self.list.borrow().choose(Choice {
            balance: &self.config.balance,
            random: &mut self.random.borrow_mut(),
            turn: &mut turn,
            hash,
            not,
            choose,
            now,
        });
        self.turn.set(turn);
        let endpoint = match chosen {
            Chosen::One(endpoint) => endpoint,
            Chosen::Down(endpoint) => {
                self.wanted.notify_one();
                endpoint
            }
            Chosen::Ejected => {
                self.wanted.notify_one();
                let why = format!(
                    "every endpoint of `{}` has failed too often recently",
                    self.on.name
                );
                return Err(LookupError::new(Code::LookupBreakerOpen, why));
            }
            Chosen::Nothing => {
                if choose != Choose::Working {
                    self.wanted.notify_one();
                }
                let why = self.why_empty.borrow().clone();
                return Err(LookupError::new(Code::LookupUnavailable, why).not_tried());
            }
        };
        endpoint.load.begins();
        Ok(Asked {
            endpoint,
            began: now,
            deadline: ask.deadline,
            is_patient: ask.is_patient(now),
            is_open: true,
            given_up: self.on.given_up.clone(),
        })
    }

    /// Uses these servers from now on. Those that were in use before stay as they are.
    pub(super) fn replace(&self, targets: &[Target]) {
        let mut list = self.list.borrow_mut();
        let before = &list.endpoints;
        let mut next = Vec::with_capacity(targets.len());
        let mut added = Vec::new();
        for target in targets {
            let known = before.iter().find(|known| known.target.is_same(target));
            let endpoint = if let Some(known) = known {
                Rc::clone(known)
            } else {
                let made = self.endpoint(target);
                added.push(made.label.to_string());
                made
            };
            next.push((endpoint, target.weight));
        }
        let stays = |known: &&Rc<Endpoint<C>>| !targets.iter().any(|of| of.is_same(&known.target));
        let removed: Vec<String> = before
            .iter()
            .filter(stays)
            .map(|of| of.label.to_string())
            .collect();
        if !added.is_empty() || !removed.is_empty() {
            let (backend, count) = (&*self.on.name, next.len());
            let (added, removed) = (added.join(", "), removed.join(", "));
            info!(backend, count, added, removed, "endpoints changed");
        }
        *list = List::new(next);
        let shown = list.endpoints.iter();
        let shown = shown.map(|of| (Arc::clone(&of.label), of.counts.clone()));
        self.board.show(shown.collect());
    }

    /// Shows to scrapes which endpoints can be reached.
    pub(super) fn show_reach(&self) {
        for endpoint in &self.list.borrow().endpoints {
            endpoint.show_reach();
        }
    }

    /// There is no endpoint, for this reason.
    pub(super) fn set_why_empty(&self, why: String) {
        self.why_empty.replace(why);
    }

    /// The name of the backend, for the log.
    pub(super) fn backend(&self) -> &str {
        &self.on.name
    }

    /// A seed of its own.
    pub(super) fn seed(&self) -> u64 {
        self.random.borrow_mut().draw()
    }

    fn endpoint(&self, target: &Target) -> Rc<Endpoint<C>> {
        let client = (self.make)(target, &self.on.seeded(self.seed()));
        let of = (&self.on.name, target.clone());
        Rc::new(Endpoint::new(of, client, &self.config.breaker, self.seed()))
    }
}

impl<C: Client> Asked<C> {
    /// What asks the endpoint.
    pub(super) fn client(&self) -> &C {
        &self.endpoint.client
    }

    /// The endpoint.
    pub(super) fn endpoint(&self) -> &Rc<Endpoint<C>> {
        &self.endpoint
    }

    /// The question is not asked after all.
    pub(super) fn withdrawn(mut self) {
        self.is_open = false;
        self.endpoint.withdrawn(self.began);
    }

    /// The question has ended.
    pub(super) fn ended<T>(mut self, outcome: &Result<T, LookupError>) -> Rc<Endpoint<C>> {
        self.is_open = false;
        let of = outcome_of(outcome, self.is_patient);
        self.endpoint.ended(self.began, of, outcome.as_ref().err());
        Rc::clone(&self.endpoint)
    }
}

impl<C: Client> Drop for Asked<C> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        self.given_up.say(&self.endpoint.label);
        // At its deadline the question is dropped, and so it is when its call ends.
        let is_late = self.is_patient && Instant::now() >= self.deadline;
        let outcome = if is_late {
            EndpointOutcome::Late
        } else {
            EndpointOutcome::Other
        };
        self.endpoint.ended(self.began, outcome, None);
    }
}
