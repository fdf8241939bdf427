//! Answers questions with kept answers, and asks equal questions once.
//!
//! A question of a lookup with `cache` is answered at once while its entry is fresh or stale; a stale one is asked again in
//! the background. Any other question, and those of a lookup with `coalesce`, joins an equal one that is under way, or is
//! asked for itself and all that will join. Such a question belongs to no call: it goes on until no call waits for it.
//! Errors are never kept. If the store fails, an entry that is not dead answers instead.

mod key; // what answers are kept under
mod answer; // one answer for several calls
mod entries; // kept answers and their times
mod flight; // the calls that wait for a question
mod of_lookup; // both, for one lookup
mod ask; // a question under way

use std::cell::OnceCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::answer::Handed;
use self::ask::Asking;
use self::flight::Flight;
use self::key::Key;
use self::of_lookup::{Found, OfLookup, Quota, Refresh};
use super::chain::{Before, Guard, Inside, Outcome, Way};
use super::question::Question;
use crate::backend::{Answer, Changes, StoreMemory};
use crate::metrics::{CacheLookup, ProgramMetrics};
use crate::plan::LookupId;
use crate::program::{Asks, Program};
use crate::random::Random;
use crate::value::Value;

/// Of the lookups that a store may have at a time, one in so many may be asked in the background.
const REFRESH_SHARE: usize = 8;

/// The shared lookups of one loop.
pub(super) struct Cache {
    program: Arc<Program>,
    /// By [`LookupId`]; none for lookups that share nothing. Empty if none of them shares anything.
    lookups: Vec<Option<Rc<OfLookup>>>,
    asking: TaskTracker,
    /// What is inside of this guard, and the memory of its answers.
    inside: OnceCell<(Weak<dyn Inside>, StoreMemory)>,
}

impl Guard for Cache {
    fn new(program: &Arc<Program>, random: &Random, metrics: &ProgramMetrics) -> Self {
        let mut random = random.clone();
        let refreshes = program.backends.iter().map(|backend| {
            let most = backend.in_flight_max / REFRESH_SHARE;
            Quota::new(most.max(1))
        });
        let refreshes: Vec<Rc<Quota>> = refreshes.collect();
        let lookups = program.lookups.iter().zip(&metrics.caches);
        let lookups = lookups.map(|(lookup, metrics)| {
            let (Asks::Store(at, _), Some(metrics)) = (&lookup.asks, metrics) else {
                return None;
            };
            let refreshes = Rc::clone(&refreshes[*at]);
            let metrics = metrics.clone();
            Some(Rc::new(OfLookup::new(
                &lookup.sharing,
                refreshes,
                metrics,
                &mut random,
            )))
        });
        let mut lookups: Vec<_> = lookups.collect();
        if lookups.iter().all(Option::is_none) {
            lookups.clear();
        }
        Cache {
            lookups,
            program: Arc::clone(program),
            asking: TaskTracker::new(),
            inside: OnceCell::new(),
        }
    }

    fn take_over(&mut self, before: &Self) {
        for (at, lookup) in self.lookups.iter_mut().enumerate() {
            let Some(lookup) = lookup else { continue };
            let then = self
                .program
                .lookup_unchanged_since(&before.program, LookupId(at));
            if let Some(then) = then.and_then(|then| before.of(then)) {
                *lookup = Rc::clone(then);
            }
        }
    }

    #[inline]
    fn before<'a>(&'a self, question: &Question<'a>, way: Way<'_>) -> Before<'a> {
        match self.of(question.lookup) {
            None => Before::Pass,
            Some(lookup) => self.share(lookup, question, way),
        }
    }

    #[inline]
    fn after(&self, question: &Question<'_>, outcome: Outcome<'_>) {
        if let Some(lookup) = self.of(question.lookup)
            && let Outcome::Answered(answer) = outcome
            && let Asks::Store(_, of_kind) = &self.program.lookups[question.lookup.0].asks
        {
            lookup.keep_size(of_kind, &question.params, answer);
        }
    }

    fn late(&self, question: &Question<'_>) -> Option<Answer> {
        let (_, memory) = self.inside.get()?;
        let lookup = self.of(question.lookup)?;
        lookup.late(question, memory)
    }
}

impl Cache {
    /// What the questions of a lookup share, if they do.
    #[inline]
    fn of(&self, lookup: LookupId) -> Option<&Rc<OfLookup>> {
        self.lookups.get(lookup.0)?.as_ref()
    }

    /// Asks what it has to through `inside`, and counts what it hands out in `memory`.
    pub(super) fn ask_through(&self, inside: Weak<dyn Inside>, memory: &StoreMemory) {
        drop(self.inside.set((inside, memory.clone())));
    }

    /// Learns what stores say about kept answers. `changes` is what the store of a lookup says.
    pub(super) fn hear<'s>(&self, changes: impl Fn(LookupId) -> Option<&'s Rc<Changes>>) {
        for (at, lookup) in self.lookups.iter().enumerate() {
            if let Some(lookup) = lookup
                && let Some(changes) = changes(LookupId(at))
            {
                lookup.hears(changes);
            }
        }
    }

    /// Removes the entries of a lookup, or of all, whose parameters are as asked. Returns how many there were.
    pub(super) fn purge(
        &self,
        lookup: Option<LookupId>,
        is_asked: impl Fn(&[Value]) -> bool,
    ) -> usize {
        let lookups = self.lookups.iter().enumerate();
        let asked = lookups.filter(|(at, _)| lookup.is_none_or(|lookup| lookup.0 == *at));
        asked
            .filter_map(|(_, lookup)| Some(lookup.as_ref()?.purge(&is_asked)))
            .sum()
    }

    fn share<'a>(
        &'a self,
        lookup: &Rc<OfLookup>,
        question: &Question<'a>,
        way: Way<'_>,
    ) -> Before<'a> {
        let Some((inside, memory)) = self.inside.get() else {
            return Before::Pass;
        };
        let params = &*question.params;
        let handed = match lookup.find((params, question.asked), memory) {
            Found::Answer(handed) => handed,
            Found::Stale(handed) => {
                if !lookup.is_under_way(params)
                    && let Some(refresh) = lookup.refresh()
                    && let Some(inside) = inside.upgrade()
                {
                    let flight = (Flight::default(), Some(refresh));
                    self.ask(lookup, question, flight, (way.outside, inside));
                }
                handed
            }
            Found::Nothing if !lookup.coalesces() => return Before::Pass,
            Found::Nothing => return self.join(lookup, question, way),
        };
        match handed {
            Handed::Now(answer) => Before::Answer(Ok(answer)),
            Handed::Later(copy) => Before::Later(Box::pin(copy.make(question.deadline))),
        }
    }

    /// Joins an equal question, or asks this one.
    fn join<'a>(&self, lookup: &Rc<OfLookup>, question: &Question<'a>, way: Way<'_>) -> Before<'a> {
        let Some(inside) = self.inside.get().and_then(|(inside, _)| inside.upgrade()) else {
            return Before::Pass;
        };
        let (slot, responder) = way.slots.open();
        if let Some(flight) = lookup.flight(&question.params) {
            flight.join(responder, question.deadline);
            lookup.metrics.count(CacheLookup::Coalesced);
        } else {
            let flight = Flight::default();
            flight.ask_for(responder, question.deadline);
            lookup.metrics.count(CacheLookup::Miss);
            self.ask(lookup, question, (flight, None), (way.outside, inside));
        }
        Before::Joined(slot)
    }

    /// Asks a question for all that wait for it, through what is inside of so many guards.
    fn ask(
        &self,
        of_lookup: &Rc<OfLookup>,
        question: &Question<'_>,
        (flight, refresh): (Flight, Option<Refresh>),
        (outside, inside): (u8, Rc<dyn Inside>),
    ) {
        let Some((_, memory)) = self.inside.get() else {
            return;
        };
        let flight = Rc::new(flight);
        let key = Key::copy_of(&question.params);
        of_lookup.took_off(&key, &flight);
        let def = &self.program.lookups[question.lookup.0];
        let (budget, Asks::Store(_, of_kind)) = (def.budget, &def.asks) else {
            return;
        };
        let keys = of_lookup.keys(of_kind, &question.params);
        let left = question.deadline.saturating_duration_since(Instant::now());
        let asking = Asking {
            of_lookup: Rc::clone(of_lookup),
            flight,
            key,
            keys,
            lookup: question.lookup,
            context: question.context.clone(),
            step: question.step,
            budget: budget.unwrap_or_default().max(left),
            outside,
            inside,
            memory: memory.clone(),
            refresh,
        };
        self.asking.spawn_local(asking.run());
    }
}

#[cfg(test)]
mod tests;
