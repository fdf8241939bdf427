//! What traces say of the services and stores of one program.

use std::sync::Arc;

use crate::program::{Asks, Program};

/// The services and stores of one program.
#[derive(Debug, Default)]
pub struct About {
    /// The names of its services, by [`Plan::service`](crate::plan::Plan::service).
    services: Vec<Arc<str>>,
    stores: Vec<StoreAbout>,
    /// What the configuration of traces says of this server.
    pub resource: Vec<(String, String)>,
}

/// A store.
#[derive(Debug)]
pub struct StoreAbout {
    name: Arc<str>,
    /// Its `kind`.
    pub kind: &'static str,
    /// Its host and port, if it has one address.
    pub address: Option<(String, u16)>,
}

impl StoreAbout {
    /// A store of this kind, with its host and port.
    pub fn new(name: &str, kind: &'static str, address: Option<(String, u16)>) -> Self {
        StoreAbout {
            name: name.into(),
            kind,
            address,
        }
    }
}

impl About {
    /// Those of `program`.
    pub fn of(program: &Program) -> Self {
        let services = program.services.iter();
        let used = |at: usize| {
            let mut lookups = program.lookups.iter();
            lookups.any(|lookup| matches!(lookup.asks, Asks::Store(store, _) if store == at))
        };
        let stores = program.backends.iter().enumerate();
        let stores = stores.filter(|(at, _)| used(*at));
        let traces = program.traces.as_ref();
        About {
            resource: traces.map_or_else(Vec::new, |of| of.collector.resource.clone()),
            services: services.map(|of| of.name.clone()).collect(),
            stores: stores
                .map(|(_, of)| StoreAbout::new(&of.name, of.config.kind(), of.config.address()))
                .collect(),
        }
    }

    /// The name of a service.
    pub fn service(&self, at: usize) -> Option<&str> {
        self.services.get(at).map(|name| &**name)
    }

    /// The store with this name; `None` for a closure.
    pub fn store(&self, name: &str) -> Option<&StoreAbout> {
        self.stores.iter().find(|store| *store.name == *name)
    }
}
