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
use crate::idl::{Schema, Service};
use crate::plan::Plan;

/// Everything a loop needs, checked. Plain data, shared by all loops.
pub struct Program {
    /// The IDL.
    pub schema: Arc<Schema>,
    /// The served service, as an index into the schema's.
    pub service: usize,
    /// Where clients connect.
    pub listeners: Vec<ListenerConfig>,
    /// Event loops.
    pub workers: usize,
    /// How long calls in flight may take to end after SIGTERM.
    pub drain_timeout: Duration,
    /// What clients may take up.
    pub limits: LimitsConfig,
    /// What some callers show to say who they are.
    pub tokens: Tokens,
    /// Where operators ask how it is; nowhere if `None`.
    pub admin: Option<AdminConfig>,
    /// The stores.
    pub backends: Vec<BackendDef>,
    /// What can be asked of them; by [`crate::plan::LookupId`].
    pub lookups: Vec<LookupDef>,
    /// One per served method, by its name.
    pub plans: BTreeMap<Arc<str>, Arc<Plan>>,
    /// The names under which the `Tributary` service is called.
    pub meta: Meta,
}

/// A store to connect.
pub struct BackendDef {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind's keys.
    pub config: AnyConfig,
    /// Lookups on their way at a time, per loop.
    pub in_flight_max: usize,
    /// Lookups that travel as one question, at most; with 1, each goes alone.
    pub batch_max: usize,
    /// Lookups waiting for their turn, per loop.
    pub waiting_max: usize,
}

/// A lookup to ask.
pub struct LookupDef {
    /// Its name.
    pub name: Arc<str>,
    /// Whom it asks, and what.
    pub asks: Asks,
    /// The names of its parameters, in the order in which a step binds them.
    pub params: Vec<Arc<str>>,
    /// Faults for testing.
    pub inject: Inject,
}

/// Whom a lookup asks.
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

/// Lookups that a Rust program registers beside those of the configuration, by name.
pub type Registry = Vec<(Arc<str>, Closure)>;
