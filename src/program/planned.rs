//! Determines which lookups of a store views use, and how long a call waits for each.

use super::definition::{Asks, Program};
use crate::backend::{AnyLookup, Planned};
use crate::plan::LookupId;

impl Program {
    /// The lookups of a backend that some view uses.
    pub fn planned(&self, backend: usize) -> Vec<Planned<'_, AnyLookup>> {
        let used = self.of_backend(backend);
        let used = used.filter(|(id, _)| self.lookups[id.0].budget.is_some());
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
                    budget: def.budget.unwrap_or_default(),
                    invalidate: def.sharing.invalidate(),
                };
                Some((LookupId(at), planned))
            }
            _ => None,
        })
    }
}
