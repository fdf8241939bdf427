//! Chooses the endpoint of the next question, without waiting for anything.
//!
//! Only endpoints that are fit are chosen: not known to be down, and not ejected. If there is none, the breakers of all are
//! asked again as if each were the last: one question a second goes to an ejected endpoint, and the others fail at once.

use std::rc::Rc;

use tokio::time::Instant;

use super::config::Balance;
use super::endpoint::{Client, Endpoint};
use crate::breaker::Admission;
use crate::random::Random;

/// So many endpoints are tried in the order of the hash; then any one is taken.
const HASH_TRIES: usize = 8;
/// So often another endpoint is drawn; then the first one that is fit is taken.
const DRAWS: usize = 8;

/// The endpoints that are in use, each with its weight.
pub(super) struct List<C> {
    pub(super) endpoints: Vec<Rc<Endpoint<C>>>,
    /// By the position of the endpoint: the sum of the weights up to and including its own.
    sums: Vec<u64>,
}

/// What a choice depends on.
pub(super) struct Choice<'a, C> {
    pub(super) balance: &'a Balance,
    pub(super) random: &'a mut Random,
    /// Counts questions, for `round_robin`.
    pub(super) turn: &'a mut u64,
    /// Of the parameter, for `hash`.
    pub(super) hash: Option<u64>,
    /// Not these if there is another.
    pub(super) not: &'a [Rc<Endpoint<C>>],
    pub(super) choose: Choose,
    pub(super) now: Instant,
}

/// Which endpoints may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choose {
    /// One that is fit, or else any.
    Any,
    /// Only one that is fit.
    Fit,
    /// Only one that is not ejected: none that gets a probe.
    Working,
}

/// What was chosen.
pub(super) enum Chosen<C> {
    /// This endpoint.
    One(Rc<Endpoint<C>>),
    /// None is fit. This one is down, and a question may have it tried.
    Down(Rc<Endpoint<C>>),
    /// All are ejected.
    Ejected,
    /// There is none.
    Nothing,
}

impl<C: Client> List<C> {
    /// These endpoints with their weights.
    pub(super) fn new(endpoints: Vec<(Rc<Endpoint<C>>, u16)>) -> Self {
        let mut sum = 0;
        let mut list = List {
            endpoints: Vec::with_capacity(endpoints.len()),
            sums: Vec::with_capacity(endpoints.len()),
        };
        for (endpoint, weight) in endpoints {
            sum += u64::from(weight.max(1));
            list.sums.push(sum);
            list.endpoints.push(endpoint);
        }
        list
    }

    /// Chooses one.
    pub(super) fn choose(&self, mut choice: Choice<'_, C>) -> Chosen<C> {
        if self.endpoints.is_empty() {
            return Chosen::Nothing;
        }
        let choice = &mut choice;
        let at = match choice.balance {
            Balance::LeastLoaded => {
                self.of_two(choice, |endpoint| endpoint.load.in_flight().into())
            }
            Balance::Fastest => self.of_two(choice, |endpoint| endpoint.load.expected()),
            Balance::RoundRobin => {
                let turn = *choice.turn;
                // A retry is not a turn.
                *choice.turn = turn.wrapping_add(u64::from(choice.not.is_empty()));
                let at = self.at_weight(turn % self.weight());
                if self.fit(at, choice) == Admission::Refuse {
                    self.any(choice)
                } else {
                    Some(at)
                }
            }
            Balance::Hash(_) => self.of_hash(choice),
        };
        match at {
            Some(at) => Chosen::One(Rc::clone(&self.endpoints[at])),
            None if choice.choose != Choose::Any => Chosen::Nothing,
            None => self.last_resort(choice),
        }
    }

    /// The better of two that are drawn at random, or another one if neither is fit.
    fn of_two(
        &self,
        choice: &mut Choice<'_, C>,
        cost: impl Fn(&Endpoint<C>) -> f64,
    ) -> Option<usize> {
        let one = self.draw(choice);
        let first = self.fit(one, choice);
        if first == Admission::Probe || first == Admission::Pass && self.endpoints.len() == 1 {
            return Some(one);
        }
        let mut other = self.draw(choice);
        if other == one {
            other = (one + 1) % self.endpoints.len();
        }
        match (first, self.fit(other, choice)) {
            (_, Admission::Probe) | (Admission::Refuse, Admission::Pass) => Some(other),
            (Admission::Refuse, Admission::Refuse) => self.any(choice),
            (_, Admission::Refuse) => Some(one),
            (_, Admission::Pass) => {
                let costs = [one, other].map(|at| cost(&self.endpoints[at]));
                Some(if costs[1] < costs[0] { other } else { one })
            }
        }
    }

    /// The first that is fit in the order of the hash, which is the same everywhere. When an endpoint leaves, only the
    /// questions that were its own go elsewhere (rendezvous hashing).
    fn of_hash(&self, choice: &mut Choice<'_, C>) -> Option<usize> {
        let hash = choice.hash.unwrap_or_default();
        let mut below = f64::INFINITY;
        let mut last = 0;
        for _ in 0..HASH_TRIES.min(self.endpoints.len()) {
            let scores = (0..self.endpoints.len()).map(|at| (at, self.score(at, hash)));
            let scores = scores.filter(|(_, score)| *score < below);
            let (at, score) = scores.max_by(|one, other| one.1.total_cmp(&other.1))?;
            if self.fit(at, choice) != Admission::Refuse {
                return Some(at);
            }
            (below, last) = (score, at);
        }
        self.any_from(last, choice)
    }

    /// The rank of an endpoint for a hash. The best of all is each one as often as its weight says.
    fn score(&self, at: usize, hash: u64) -> f64 {
        let drawn = Random::seeded(hash ^ self.endpoints[at].hash).draw();
        #[expect(
            clippy::cast_precision_loss,
            reason = "53 random bits fit a double exactly"
        )]
        let unit = ((drawn >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let before = at.checked_sub(1).map_or(0, |before| self.sums[before]);
        #[expect(clippy::cast_precision_loss, reason = "weights are small")]
        let weight = (self.sums[at] - before) as f64;
        -weight / unit.ln()
    }

    /// One that is fit. Drawn, so that all others share what one of them leaves, and not only its neighbour.
    fn any(&self, choice: &mut Choice<'_, C>) -> Option<usize> {
        for _ in 0..DRAWS {
            let at = self.draw(choice);
            if self.fit(at, choice) != Admission::Refuse {
                return Some(at);
            }
        }
        let from = self.draw(choice);
        self.any_from(from, choice)
    }

    /// The first that is fit from a position on.
    fn any_from(&self, from: usize, choice: &mut Choice<'_, C>) -> Option<usize> {
        let count = self.endpoints.len();
        let mut all = (0..count).map(|step| (from + step) % count);
        all.find(|at| self.fit(*at, choice) != Admission::Refuse)
    }

    /// Whether an endpoint takes a question.
    fn fit(&self, at: usize, choice: &mut Choice<'_, C>) -> Admission {
        let endpoint = &self.endpoints[at];
        let was_tried = choice.not.iter().any(|not| Rc::ptr_eq(not, endpoint));
        let is_probe = || choice.choose == Choose::Working && endpoint.is_ejected();
        if was_tried || endpoint.client.is_down() || is_probe() {
            return Admission::Refuse;
        }
        endpoint.admits(choice.random, choice.now, false)
    }

    /// None is fit: takes one whose time has come, or else one that is down and fails at once.
    fn last_resort(&self, choice: &mut Choice<'_, C>) -> Chosen<C> {
        let from = self.draw(choice);
        let count = self.endpoints.len();
        let all = (0..count).map(|step| &self.endpoints[(from + step) % count]);
        let mut down = None;
        for endpoint in all {
            if endpoint.client.is_down() {
                down = down.or(Some(endpoint));
            } else if endpoint.admits(choice.random, choice.now, true) != Admission::Refuse {
                return Chosen::One(Rc::clone(endpoint));
            }
        }
        down.map_or(Chosen::Ejected, |down| Chosen::Down(Rc::clone(down)))
    }

    /// Draws one at random.
    fn draw(&self, choice: &mut Choice<'_, C>) -> usize {
        self.at_weight(choice.random.draw() % self.weight())
    }

    fn at_weight(&self, weight: u64) -> usize {
        self.sums.partition_point(|sum| *sum <= weight)
    }

    fn weight(&self) -> u64 {
        self.sums.last().copied().unwrap_or(1)
    }
}
