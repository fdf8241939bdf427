//! Determines which lookups of a store views use, and how long a call waits for each.

use std::time::Duration;

use super::definition::{Asks, Program};
use crate::backend::{AnyLookup, Planned};
use crate::plan::LookupId;

impl Program {
    /// The lookups of a backend that some view uses.
    pub fn planned(&self, backend: usize) -> Vec<Planned<'_, AnyLookup>> {
        let used = self.of_backend(backend);
        let used = used.filter(|(id, _)| self.budget(*id).is_some());
        used.map(|(_, planned)| planned).collect()
    }

    /// All lookups of a backend. One that no view uses has a budget of zero.
    pub fn of_backend(
        &self,
        backend: usize,
    ) -> impl Iterator<Item = (LookupId, Planned<'_, AnyLookup>)> {
        let lookups = self.lookups.iter().enumerate();
        lookups.filter_map(move |(at, def)| match &def.asks {
            Asks::Store(of, lookup) if *of == backend => {
                let planned = Planned {
                    name: &def.name,
                    lookup,
                    budget: self.budget(LookupId(at)).unwrap_or_default(),
                };
                Some((LookupId(at), planned))
            }
            _ => None,
        })
    }

    /// The longest time that any view gives a lookup; `None` if no view uses it.
    fn budget(&self, lookup: LookupId) -> Option<Duration> {
        let budgets = self.plans().flat_map(|plan| {
            let uses = plan.steps.iter().filter(|step| step.lookup == lookup);
            uses.map(|step| {
                step.timeout
                    .map_or(plan.deadline, |own| own.min(plan.deadline))
            })
        });
        budgets.max()
    }
}
