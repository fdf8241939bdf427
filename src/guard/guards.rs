//! Asks the stores of one event loop, for single questions and groups alike.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::brownout::Brownouts;
use super::chain::Inside;
use super::deadlines::Deadlines;
use super::forecast::{Forecast, Need};
use super::guarded_stores::GuardedStores;
use super::held::hold;
use super::pending::Pending;
use super::purge::{Purge, Purged};
use super::question::Question;
use crate::backend::LookupError;
use crate::context::CallerId;
use crate::metrics::ProgramMetrics;
use crate::plan::{LookupId, Plan};
use crate::program::Program;
use crate::random::Random;

/// The stores of one event loop and their guards.
pub struct Guards {
    program: Arc<Program>,
    stores: Rc<GuardedStores>,
    forecast: Forecast,
    brownouts: Brownouts,
    deadlines: Deadlines,
    metrics: Rc<ProgramMetrics>,
}

impl Guards {
    /// Connects every store of `program` on this loop, except those that `before` has connected and that did not change. A
    /// store that is down does not fail this.
    pub async fn connect(
        program: Arc<Program>,
        random: Random,
        metrics: Rc<ProgramMetrics>,
        before: Option<&Guards>,
    ) -> Self {
        let known = before.map(|before| &before.brownouts);
        let brownouts = Brownouts::new(&program, &metrics, known);
        let before = before.map(|before| &*before.stores);
        let stores = GuardedStores::connect(&program, &random, &metrics, before).await;
        let stores = Rc::new(stores);
        let inside: Rc<dyn Inside> = Rc::clone(&stores) as _;
        let cache = &stores.chain.cache;
        cache.ask_through(Rc::downgrade(&inside), stores.stores.memory());
        cache.hear(|lookup| stores.stores.changes(lookup));
        Guards {
            forecast: Forecast::new(&program, &stores.stores),
            brownouts,
            stores,
            program,
            deadlines: Deadlines::start(),
            metrics,
        }
    }

    /// Whether the lookups of a call of `plan` that has so much time will have their turns. `calls` are the others of its
    /// connection.
    #[inline]
    pub fn can_serve(&self, plan: &Plan, calls: usize, left: impl FnOnce() -> Duration) -> bool {
        let stores = &self.stores.stores;
        if !stores.backlogs.any() {
            return true;
        }
        let is_busy = self.metrics.loop_metrics.is_busy();
        let forecast = &self.forecast;
        !forecast.is_hopeless(stores, (plan, calls), left(), is_busy)
    }

    /// The `foreach` at `step` of `plan` has so many elements in a call.
    pub fn saw_elements(&self, plan: &Plan, step: usize, count: usize) {
        self.forecast.saw_elements(plan, step, count);
    }

    /// Whether a call of `plan` may begin at once.
    #[inline]
    pub fn may_begin(&self, plan: &Plan) -> bool {
        self.long_queue(plan).is_none()
    }

    /// Holds a call of `plan` back until it may begin, until `latest` at most. Returns whether it may begin.
    pub(crate) async fn hold(&self, plan: &Plan, caller: CallerId, latest: Instant) -> bool {
        match self.long_queue(plan) {
            Some(need) => hold(&self.stores.stores, need, caller, latest).await,
            None => true,
        }
    }

    #[inline]
    fn long_queue(&self, plan: &Plan) -> Option<&Need> {
        let is_busy = || self.metrics.loop_metrics.is_busy();
        self.forecast.long_queue(&self.stores.stores, plan, is_busy)
    }

    /// Prepares to ask `question`: see [`Pending::ask`].
    #[inline]
    pub fn prepare<'a>(&'a self, question: Question<'a>) -> Pending<'a> {
        Pending::new(&self.stores, question, 0)
    }

    /// The metrics of this loop and configuration.
    pub fn metrics(&self) -> &Rc<ProgramMetrics> {
        &self.metrics
    }

    /// The quality of the views that leave lookups out.
    pub fn brownouts(&self) -> &Brownouts {
        &self.brownouts
    }

    /// The timer for the deadlines of this loop's calls.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Each store's name and kind, and whether it answers.
    pub fn health(&self) -> impl Iterator<Item = (&str, &'static str, bool)> {
        let backends = self.program.backends.iter().enumerate();
        backends.map(|(at, entry)| {
            let is_answering = self.stores.chain.health.is_answering(at);
            (&*entry.name, entry.config.kind(), is_answering)
        })
    }

    /// Removes kept answers. Returns how many.
    pub fn purge(&self, purge: &Purge) -> Purged {
        let resolved = purge.resolve(&self.program)?;
        let cache = &self.stores.chain.cache;
        Ok(cache.purge(resolved.lookup, |params| resolved.means(params)))
    }

    /// Logs that the view can't use a lookup, or its answer. The guards never see such a failure.
    pub fn log_unusable(&self, lookup: LookupId, err: &LookupError) {
        self.stores.chain.failure_log.log(lookup, err);
    }

    /// Logs that a field of an answer was left unset because its value is unknown here.
    pub fn log_left_out(&self, lookup: LookupId, why: &str) {
        self.stores.chain.failure_log.left_out(lookup, why);
    }

    /// The outcomes that the test's guard has seen since the last call, in the order in which they became known.
    #[cfg(test)]
    pub(crate) fn take_outcomes(&self) -> Vec<String> {
        self.stores.chain.every_third.take_outcomes()
    }
}
