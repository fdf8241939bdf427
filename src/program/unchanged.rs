//! Finds out which stores of one program can serve another one as they are: those whose configuration means the same.

use std::time::Duration;

use super::definition::{Asks, LookupDef, Program};
use crate::config::Definition;

impl Program {
    /// The index that the backend at `backend` has in `before`, if its store there can serve this program too: with the
    /// same settings and, where its connections prepare statements, for the same lookups.
    pub fn unchanged_since(&self, before: &Program, backend: usize) -> Option<usize> {
        let now = &self.backends[backend];
        let at = before
            .backends
            .iter()
            .position(|then| then.name == now.name)?;
        let then = &before.backends[at];
        let is_same = now.config.is_kept()
            && now.definition == then.definition
            && (!now.config.prepares() || self.prepared(backend).eq(before.prepared(at)));
        is_same.then_some(at)
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
