//! What is going to be asked of a store: its lookups that views use, and how long anyone waits for each. Pure.

use std::time::Duration;

use super::check::{Asks, LookupDef, Program};
use crate::backend::{AnyLookup, Planned};
use crate::guard::LookupId;

impl Program {
    /// The lookups of the backend at `backend` that any view uses.
    pub fn planned(&self, backend: usize) -> Vec<Planned<'_, AnyLookup>> {
        let lookups = self.lookups.iter().enumerate();
        let planned = lookups.filter_map(|(at, def)| {
            let budget = self.budget(LookupId(at))?;
            planned(def, backend, budget)
        });
        planned.collect()
    }

    /// The longest time that any view gives a lookup; `None` for one that no view uses.
    fn budget(&self, lookup: LookupId) -> Option<Duration> {
        let budgets = self.plans.values().flat_map(|plan| {
            let uses = plan.steps.iter().filter(|step| step.lookup == lookup);
            uses.map(|step| {
                step.timeout
                    .map_or(plan.deadline, |own| own.min(plan.deadline))
            })
        });
        budgets.max()
    }
}

fn planned(def: &LookupDef, backend: usize, budget: Duration) -> Option<Planned<'_, AnyLookup>> {
    match &def.asks {
        Asks::Store(at, lookup) if *at == backend => Some(Planned {
            name: &def.name,
            lookup,
            budget,
        }),
        _ => None,
    }
}
