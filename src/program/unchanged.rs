//! Finds out which stores and cached answers of one program can serve another one as they are: those whose configuration
//! means the same.

use std::collections::BTreeSet;
use std::time::Duration;

use super::definition::{Asks, LookupDef, Program};
use crate::config::Definition;
use crate::plan::LookupId;

impl Program {
    /// The index that the backend at `backend` has in `before`, if its store there can serve this program too: with the
    /// same settings, hearing of the same changes and, where its connections prepare statements, for the same lookups.
    pub fn unchanged_since(&self, before: &Program, backend: usize) -> Option<usize> {
        let at = self.heard_since(before, backend)?;
        let prepares = self.backends[backend].config.prepares();
        let is_same = !prepares || self.prepared(backend).eq(before.prepared(at));
        is_same.then_some(at)
    }

    /// The index that the backend at `backend` has in `before`, if what its store hears there is what the store is to hear here:
    /// it has the same settings, and the same changes are to be heard of.
    pub fn heard_since(&self, before: &Program, backend: usize) -> Option<usize> {
        let now = &self.backends[backend];
        let at = before
            .backends
            .iter()
            .position(|then| then.name == now.name)?;
        let then = &before.backends[at];
        let is_same = now.config.is_kept()
            && now.definition == then.definition
            && self.heard(backend) == before.heard(at);
        is_same.then_some(at)
    }

    /// The number that a lookup has in `before`, if its answers there are its answers here: it asks the same of the same
    /// store, and everything that its own table says is the same.
    pub fn lookup_unchanged_since(&self, before: &Program, lookup: LookupId) -> Option<LookupId> {
        let now = &self.lookups[lookup.0];
        let at = before
            .lookups
            .iter()
            .position(|then| then.name == now.name)?;
        let then = &before.lookups[at];
        let (Asks::Store(now_asks, _), Asks::Store(then_asks, _)) = (&now.asks, &then.asks) else {
            return None;
        };
        let now_asks = &self.backends[*now_asks];
        let then_asks = &before.backends[*then_asks];
        let is_same = now.definition == then.definition
            && now_asks.name == then_asks.name
            && now_asks.config.is_kept()
            && now_asks.definition == then_asks.definition;
        is_same.then_some(LookupId(at))
    }

    /// What a backend is asked to name when it changes.
    fn heard(&self, backend: usize) -> BTreeSet<&str> {
        let used = self.lookups.iter().filter(|lookup| lookup.budget.is_some());
        let heard = used.filter_map(|lookup| match &lookup.asks {
            Asks::Store(at, of_kind) if *at == backend => {
                Some(of_kind.hears_of(lookup.sharing.invalidate()?))
            }
            _ => None,
        });
        heard.collect()
    }

    /// What the connections of a backend prepare.
    fn prepared(
        &self,
        backend: usize,
    ) -> impl Iterator<Item = (&str, &Definition, Option<Duration>)> {
        let of_backend = move |lookup: &&LookupDef| match &lookup.asks {
            Asks::Store(at, _) => *at == backend,
            Asks::Closure(_) => false,
        };
        let lookups = self.lookups.iter().filter(of_backend);
        lookups.map(|lookup| (&*lookup.name, &lookup.definition, lookup.budget))
    }
}
