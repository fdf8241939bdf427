//! Finds the lookups that views ask at other backends too, because `else` names these.

use std::sync::Arc;

use crate::config::ServerConfig;

/// A lookup to read once more, for another backend.
pub(super) struct Replica {
    /// Its name.
    pub(super) lookup: Arc<str>,
    /// The other backend, as an index.
    pub(super) backend: usize,
}

/// What `else` names that is no lookup of its view, each once. [`crate::plan`] reports what can't be asked.
/// `backend` finds the backend with a name.
pub(super) fn replicas(
    server: &ServerConfig,
    backend: impl Fn(&str) -> Option<usize>,
) -> Vec<Replica> {
    let mut replicas: Vec<Replica> = Vec::new();
    let views = server.services.iter().flat_map(|service| &service.views);
    for view in views {
        for entry in &view.uses {
            for (name, _) in &entry.fallbacks {
                let Some(backend) = backend(name) else {
                    continue;
                };
                let lookup = &*entry.lookup.0;
                let is_lookup = view.uses.iter().any(|of| *of.name == **name);
                let is_known = replicas
                    .iter()
                    .any(|of| *of.lookup == *lookup && of.backend == backend);
                if !is_lookup && !is_known {
                    replicas.push(Replica {
                        lookup: Arc::from(lookup),
                        backend,
                    });
                }
            }
        }
    }
    replicas
}
