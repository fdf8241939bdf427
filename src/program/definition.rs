//! Defines a [`Program`]: everything that a server needs to run, checked.
//!
//! Plain data, made once at start and shared by all loops.

use std::sync::Arc;
use std::time::Duration;

use super::callers::CallerLimits;
use super::served::{ServedService, view};
use super::sharing::Sharing;
use super::traces::TracesConfig;
use crate::backend::closure::Closure;
use crate::backend::{AnyConfig, AnyLookup};
use crate::config::{
    AdminConfig, Allow, BreakerConfig, CertificateExpiry, Definition, Effective, GuardMode,
    LimitsConfig, ListenerConfig, LogConfig, ReloadConfig, Tokens,
};
use crate::diagnostic::Problem;
use crate::faults::Faults;
use crate::idl::Schema;
use crate::plan::Plan;
use crate::stamp::FilesRead;

/// Everything that a loop needs.
pub struct Program {
    /// What is served: at least one.
    pub services: Vec<ServedService>,
    /// Where clients connect.
    pub listeners: Vec<ListenerConfig>,
    /// The number of event loops.
    pub workers: usize,
    /// The value of `workers`, if the number is not in the file.
    pub workers_from: Option<String>,
    /// How long calls are still accepted after SIGTERM.
    pub drain_delay: Duration,
    /// How long calls in flight may take to finish after that.
    pub drain_timeout: Duration,
    /// When the configuration is read again.
    pub reload: ReloadConfig,
    /// How much clients may use.
    pub limits: LimitsConfig,
    /// What happens to calls that arrive while a loop has more work than it can do.
    pub overload: GuardMode,
    /// The tokens with which callers identify themselves.
    pub tokens: Tokens,
    /// Who may ask for faults in a call, if anybody may.
    pub inject: Option<InjectFrom>,
    /// What callers may use.
    pub callers: CallerLimits,
    /// The port for operators, if there is one.
    pub admin: Option<AdminConfig>,
    /// Which calls get a line in the log, and where a line of every call is written.
    pub log: Option<LogConfig>,
    /// Which calls are sent to a collector of traces, if there is one.
    pub traces: Option<TracesConfig>,
    /// The stores.
    pub backends: Vec<BackendDef>,
    /// The lookups, by [`LookupId`](crate::plan::LookupId).
    pub lookups: Vec<LookupDef>,
    /// What works in the configuration and is probably a mistake.
    pub warnings: Vec<Problem>,
    /// When its certificates expire.
    pub expiries: Vec<CertificateExpiry>,
    /// Every value of its configuration.
    pub effective: Arc<Effective>,
    /// The files that it was made of, without those of stores.
    pub files: FilesRead,
}

/// Who may ask for faults in a call.
#[derive(Debug)]
pub enum InjectFrom {
    /// Every caller.
    Everyone,
    /// These callers.
    Callers(Allow),
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
    /// The most lookups that wait for a store which does not answer, per loop.
    pub waiting_max: usize,
    /// How long a lookup may wait for its turn.
    pub wait_max: Option<Duration>,
    /// When it gets no lookups because it failed too often.
    pub breaker: BreakerConfig,
    /// What its table in the configuration says.
    pub definition: Definition,
}

/// A lookup to ask.
pub struct LookupDef {
    /// Its name.
    pub name: Arc<str>,
    /// What it asks, and where.
    pub asks: Asks,
    /// The names of its parameters, in the order in which steps bind them.
    pub params: Vec<Arc<str>>,
    /// The most of it in flight per loop, if it has a limit of its own.
    pub in_flight_max: Option<usize>,
    /// How long it may wait for its turn, instead of what its backend says.
    pub wait_max: Option<Duration>,
    /// How calls share its answers and questions.
    pub sharing: Sharing,
    /// Planned faults, for testing.
    pub inject: Faults,
    /// The longest time that any view gives it; `None` if no view uses it.
    pub budget: Option<Duration>,
    /// What its table in the configuration says; nothing for a closure.
    pub definition: Definition,
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
    /// How long a lookup may wait for its turn.
    pub fn wait_max(&self, lookup: &LookupDef) -> Option<Duration> {
        let Asks::Store(at, _) = lookup.asks else {
            return None;
        };
        lookup.wait_max.or(self.backends[at].wait_max)
    }

    /// The services that can be called on a listener: the one with that name, or all of them.
    pub fn reachable(&self, bound: Option<&str>) -> &[ServedService] {
        let Some(name) = bound else {
            return &self.services;
        };
        let at = self.services.iter().position(|of| *of.name == *name);
        at.map_or(&[], |at| &self.services[at..=at])
    }

    /// The types to which a plan refers.
    pub fn schema(&self, plan: &Plan) -> &Arc<Schema> {
        &self.services[plan.service].schema
    }

    /// The plans of all services.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.services.iter().flat_map(|of| of.plans.values())
    }

    /// The view that a person means by `name`, with or without its service.
    pub fn plan(&self, name: &str) -> Option<&Arc<Plan>> {
        view(&self.services, name)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.services.iter().map(|of| &*of.name).collect();
        f.debug_struct("Program")
            .field("services", &names)
            .finish_non_exhaustive()
    }
}

/// The lookups that a Rust program registers in addition to those of the configuration, by name.
pub type Registry = Vec<(Arc<str>, Closure)>;
