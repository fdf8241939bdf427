//! Finds out which stores and cached answers of one program can serve another one as they are: those whose configuration
//! means the same.

use std::time::Duration;

use super::definition::{Asks, LookupDef, Program};
use crate::config::Definition;
use crate::plan::LookupId;

impl Program {
    /// The index that the backend at `backend` has in `before`, if its store there can serve this program too: with the
    /// same settings and, where its connections prepare statements or hear of changes, for the same lookups.
    pub fn unchanged_since(&self, before: &Program, backend: usize) -> Option<usize> {
        let now = &self.backends[backend];
        let at = before
            .backends
            .iter()
            .position(|then| then.name == now.name)?;
        let then = &before.backends[at];
        let is_same = now.config.is_kept()
            && now.definition == then.definition
            && self.heard(backend).eq(before.heard(at))
            && (!now.config.prepares() || self.prepared(backend).eq(before.prepared(at)));
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

    /// The lookups of a backend whose answers are kept until it says that they are no longer right.
    fn heard(&self, backend: usize) -> impl Iterator<Item = (&str, &Definition)> {
        let of_backend = move |lookup: &&LookupDef| match &lookup.asks {
            Asks::Store(at, _) => *at == backend && lookup.budget.is_some(),
            Asks::Closure(_) => false,
        };
        let lookups = self.lookups.iter().filter(of_backend);
        let heard = lookups.filter(|lookup| lookup.sharing.invalidate().is_some());
        heard.map(|lookup| (&*lookup.name, &lookup.definition))
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
