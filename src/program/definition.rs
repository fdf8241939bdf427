//! Defines a [`Program`]: everything that a server needs to run, checked.
//!
//! Plain data, made once at start and shared by all loops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::inject::Inject;
use super::meta::Meta;
use crate::backend::closure::Closure;
use crate::backend::{AnyConfig, AnyLookup};
use crate::config::{AdminConfig, LimitsConfig, ListenerConfig, Tokens};
use crate::diagnostic::Problem;
use crate::idl::{Schema, Service};
use crate::plan::Plan;

/// Everything that a loop needs.
pub struct Program {
    /// The IDL.
    pub schema: Arc<Schema>,
    /// The served service, as an index into the services of the schema.
    pub service: usize,
    /// Where clients connect.
    pub listeners: Vec<ListenerConfig>,
    /// The number of event loops.
    pub workers: usize,
    /// How long calls in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
    /// How much clients may use.
    pub limits: LimitsConfig,
    /// The tokens with which callers identify themselves.
    pub tokens: Tokens,
    /// The port for operators, if there is one.
    pub admin: Option<AdminConfig>,
    /// The stores.
    pub backends: Vec<BackendDef>,
    /// The lookups, by [`LookupId`](crate::plan::LookupId).
    pub lookups: Vec<LookupDef>,
    /// One per served method, by its name.
    pub plans: BTreeMap<Arc<str>, Arc<Plan>>,
    /// The methods of the service that are answered as unknown, in the IDL's order.
    pub unserved: Vec<Arc<str>>,
    /// The names under which the `Tributary` service is called.
    pub meta: Meta,
    /// What works in the configuration and is probably a mistake.
    pub warnings: Vec<Problem>,
}

/// A store to connect.
pub struct BackendDef {
    /// Its name.
    pub name: Arc<str>,
    /// The keys of its kind.
    pub config: AnyConfig,
    /// The most lookups in flight per loop.
    pub in_flight_max: usize,
    /// The most lookups in one batch; with 1, there are no batches.
    pub batch_max: usize,
    /// The most waiting lookups per loop.
    pub waiting_max: usize,
}

/// A lookup to ask.
pub struct LookupDef {
    /// Its name.
    pub name: Arc<str>,
    /// What it asks, and where.
    pub asks: Asks,
    /// The names of its parameters, in the order in which steps bind them.
    pub params: Vec<Arc<str>>,
    /// Planned faults, for testing.
    pub inject: Inject,
}

/// What a lookup asks.
#[expect(
    clippy::large_enum_variant,
    reason = "one per configured lookup: boxing would save nothing and cost a step per call"
)]
pub enum Asks {
    /// A store, as an index into [`Program::backends`].
    Store(usize, AnyLookup),
    /// A registered closure.
    Closure(Closure),
}

impl Program {
    /// The served service.
    pub fn service(&self) -> &Service {
        &self.schema.services[self.service]
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("service", &self.service().name)
            .finish_non_exhaustive()
    }
}

/// The lookups that a Rust program registers in addition to those of the configuration, by name.
pub type Registry = Vec<(Arc<str>, Closure)>;
