//! Adds up lookups and timeouts along references, to find how long a call can take. Pure.
//!
//! A lookup without a timeout can take whatever is left of the deadline. Lookups of one `foreach` run at the same
//! time under one timeout, so they count as one.

use std::time::Duration;

use crate::plan::{Plan, Step};

/// The chains of a plan: lookups that wait for one another, first to last.
pub(super) struct Chains<'a> {
    plan: &'a Plan,
    /// For the chain with the most lookups that ends in a step: the step before it, and the number of lookups.
    by_count: Vec<(Option<usize>, usize)>,
    /// For the chain with the largest sum of timeouts that ends in a step: the step before it, and the sum.
    by_timeout: Vec<(Option<usize>, Duration)>,
}

impl<'a> Chains<'a> {
    /// Adds up the chains of `plan`.
    pub(super) fn of(plan: &'a Plan) -> Self {
        let mut by_count: Vec<(Option<usize>, usize)> = Vec::new();
        let mut by_timeout: Vec<(Option<usize>, Duration)> = Vec::new();
        for step in &plan.steps {
            let after = || step.after.iter().copied();
            let longest = after().max_by_key(|&need| by_count[need].1);
            by_count.push((longest, 1 + longest.map_or(0, |need| by_count[need].1)));
            let slowest = after().max_by_key(|&need| by_timeout[need].1);
            let before = slowest.map_or(Duration::ZERO, |need| by_timeout[need].1);
            let own = own_time(step).unwrap_or_default();
            by_timeout.push((slowest, before.saturating_add(own)));
        }
        Chains {
            plan,
            by_count,
            by_timeout,
        }
    }

    /// The chain with the most lookups.
    pub(super) fn longest(&self) -> Vec<usize> {
        // The first of several: steps come in the order in which they can start.
        let steps = (0..self.by_count.len()).rev();
        let end = steps.max_by_key(|&at| self.by_count[at].1);
        walk(end, |at| self.by_count[at].0)
    }

    /// The chain whose timeouts add up to the most, and that sum.
    pub(super) fn slowest(&self) -> (Vec<usize>, Duration) {
        let steps = (0..self.by_timeout.len()).rev();
        let end = steps.max_by_key(|&at| self.by_timeout[at].1);
        let sum = end.map_or(Duration::ZERO, |at| self.by_timeout[at].1);
        (walk(end, |at| self.by_timeout[at].0), sum)
    }

    /// The lookups that have no timeout.
    pub(super) fn without_timeout(&self) -> Vec<usize> {
        let steps = self.plan.steps.iter().enumerate();
        let open = steps.filter(|(_, step)| own_time(step).is_none());
        open.map(|(at, _)| at).collect()
    }
}

/// The timeouts of a step and of what is asked instead of it, one after another; `None` if one of them has none.
pub(super) fn own_time(step: &Step) -> Option<Duration> {
    let mut timeouts = step.attempts().map(|attempt| attempt.timeout);
    timeouts.try_fold(Duration::ZERO, |sum, timeout| {
        Some(sum.saturating_add(timeout?))
    })
}

/// Follows a chain from `end` back to its start, and reverses it.
fn walk(end: Option<usize>, before: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut chain: Vec<usize> = std::iter::successors(end, |&at| before(at)).collect();
    chain.reverse();
    chain
}
