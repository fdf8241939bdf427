//! Checks everything against everything and yields the [`Program`] that a server runs.
//!
//! In: the path of a configuration. Out: a program, or every problem of the file and of its IDL at once. The
//! command `check` is this function; `serve` and a reload begin with it, before anything is bound or
//! swapped. No store is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::access::{Tokens, check_access};
use super::admin::AdminConfig;
use super::file::{self, BackendEntry, Config, LookupEntry};
use super::listener::ListenerConfig;
use super::meta::{Meta, check_meta, is_meta};
use super::section::Document;
use super::server::LimitsConfig;
use super::service::{pick_service, read_idl, unknown_method};
use crate::backend::{AnyConfig, AnyLookup, Yields, closure::Closure};
use crate::diagnostic::{Problem, nearest};
use crate::error::Code;
use crate::guard::Inject;
use crate::idl::{Schema, Service};
use crate::view::{LookupFacts, Plan, Scope, compile};

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
    /// What can be asked of them; by [`crate::guard::LookupId`].
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

/// Reads and checks the configuration at `path` and the IDL it names.
pub fn check(path: &str, registry: &Registry) -> Result<Program, Vec<Problem>> {
    let document = file::open(path).map_err(|problem| vec![*problem])?;
    check_document(document, registry)
}

/// As [`check`], for a document that is already in memory; its path places relative paths.
pub fn check_document(document: Document, registry: &Registry) -> Result<Program, Vec<Problem>> {
    let config = file::read(&document);
    unique_names(&document, &config, registry);
    let (schema, mut idl_problems) = match config.server.idl.as_ref() {
        Some((path, place)) => read_idl(&document, path, place),
        None => (None, Vec::new()),
    };
    let facts = facts(&config, registry);
    let checked = schema.and_then(|schema| {
        let server = &config.server;
        let service = pick_service(&document, &schema, server.service.as_ref(), &server.place)?;
        let plans = compile_views(&document, &config, &schema, service, &facts);
        check_meta(&document, &schema, &schema.services[service], &server.place);
        Some((schema, service, plans))
    });
    if document.problems.is_empty() {
        check_access(&document, &config);
    }
    let mut problems = document.problems.into_vec();
    problems.append(&mut idl_problems);
    match checked {
        Some((schema, service, plans)) if problems.is_empty() => {
            Ok(assemble(config, registry, schema, service, plans))
        }
        _ => Err(problems),
    }
}

/// A registered lookup may not share its name with one of the file.
fn unique_names(document: &Document, config: &Config, registry: &Registry) {
    for entry in &config.lookups {
        if registry.iter().any(|(name, _)| *name == entry.name) {
            let message = format!("a lookup `{}` is registered in code as well", entry.name);
            let help = Some("rename one of them".into());
            document.problem(&entry.place, Code::ConfigClash, message, help);
        }
    }
}

fn facts(config: &Config, registry: &Registry) -> Vec<LookupFacts> {
    let of_file = config.lookups.iter().map(|entry| LookupFacts {
        name: Arc::clone(&entry.name),
        backend: entry
            .backend
            .map_or_else(|| Arc::from(""), |at| Arc::clone(&config.backends[at].name)),
        params: entry
            .compiled
            .as_ref()
            .map(|compiled| compiled.params.clone()),
        yields: entry
            .compiled
            .as_ref()
            .map_or(Yields::Any, |compiled| compiled.yields),
        timeout: entry.timeout,
        parse_text: entry.parse_text,
    });
    let of_code = registry.iter().map(|(name, closure)| LookupFacts {
        name: Arc::clone(name),
        backend: Arc::from("code"),
        params: Some(closure.params().to_vec()),
        yields: Yields::Any,
        timeout: None,
        parse_text: false,
    });
    of_file.chain(of_code).collect()
}

fn compile_views(
    document: &Document,
    config: &Config,
    schema: &Schema,
    service: usize,
    facts: &[LookupFacts],
) -> BTreeMap<Arc<str>, Arc<Plan>> {
    let service = &schema.services[service];
    let scope = Scope {
        document,
        schema,
        lookups: facts,
    };
    let mut plans = BTreeMap::new();
    for view in &config.views {
        let Some(method) = service.method(&view.name) else {
            unknown_method(document, service, &view.name, &view.place);
            continue;
        };
        if is_meta(schema, method) {
            let message = format!("method `{}` is the server's own", view.name);
            let help = Some("remove the view: the server answers it by itself".into());
            document.problem(&view.place, Code::ConfigClash, message, help);
            continue;
        }
        if let Some(mut plan) = compile(view, method, scope) {
            plan.index = plans.len();
            plans.insert(Arc::clone(&view.name), Arc::new(plan));
        }
    }
    missing_views(document, config, schema, service);
    plans
}

/// Each method has a view, or is said to have none.
fn missing_views(document: &Document, config: &Config, schema: &Schema, service: &Service) {
    let unserved = config.server.unserved.as_ref();
    for (name, place) in unserved
        .iter()
        .flat_map(|(names, place)| names.iter().map(move |name| (name, place)))
    {
        if service.method(name).is_none() {
            unknown_method(document, service, name, place);
        }
    }
    // A method whose view is there misspelt has a view: one mistake is one problem.
    let names = || service.methods.iter().map(|method| &*method.name);
    let misspelt: Vec<&str> = config
        .views
        .iter()
        .filter(|view| service.method(&view.name).is_none())
        .filter_map(|view| nearest(&view.name, names()))
        .collect();
    let own = service.methods.iter();
    for method in own.filter(|method| !is_meta(schema, method)) {
        let unserved =
            unserved.is_some_and(|(names, _)| names.iter().any(|name| **name == *method.name));
        let viewed = config.views.iter().any(|view| view.name == method.name);
        if unserved && viewed {
            let message = format!("method `{}` is `unserved` and has a view", method.name);
            let help = Some("remove one of the two".into());
            document.problem(&config.server.place, Code::ConfigClash, message, help);
        }
        if !unserved && !viewed && !misspelt.contains(&&*method.name) {
            document.problem(
                &config.server.place,
                Code::ConfigMissingKey,
                format!(
                    "method `{}` of service `{}` has no view",
                    method.name, service.name
                ),
                Some(format!(
                    "add `[views.{0}.lookups]`, or `unserved = [\"{0}\"]` to `[server]`",
                    method.name
                )),
            );
        }
    }
}

fn assemble(
    config: Config,
    registry: &Registry,
    schema: Schema,
    service: usize,
    plans: BTreeMap<Arc<str>, Arc<Plan>>,
) -> Program {
    let of_file = config.lookups.into_iter().filter_map(lookup_def);
    let of_code = registry.iter().map(|(name, closure)| LookupDef {
        name: Arc::clone(name),
        asks: Asks::Closure(closure.clone()),
        params: closure.params().to_vec(),
        inject: Inject::default(),
    });
    Program {
        meta: Meta::of(
            &schema,
            &schema.services[service],
            config.server.unserved.as_ref().map(|(names, _)| &**names),
        ),
        schema: Arc::new(schema),
        service,
        listeners: config.server.listeners,
        workers: config.server.workers,
        drain_timeout: config.server.drain_timeout,
        limits: config.server.limits,
        tokens: config.server.tokens,
        admin: config.admin,
        lookups: of_file.chain(of_code).collect(),
        backends: config
            .backends
            .into_iter()
            .filter_map(backend_def)
            .collect(),
        plans,
    }
}

// Both are `Some` for every entry of a configuration without problems, so that indices stay right.
fn lookup_def(entry: LookupEntry) -> Option<LookupDef> {
    let compiled = entry.compiled?;
    Some(LookupDef {
        name: entry.name,
        asks: Asks::Store(entry.backend?, compiled.lookup),
        params: compiled.params,
        inject: entry.inject,
    })
}

fn backend_def(entry: BackendEntry) -> Option<BackendDef> {
    Some(BackendDef {
        name: entry.name,
        config: entry.config?,
        in_flight_max: entry.in_flight_max,
        waiting_max: entry.waiting_max,
        batch_max: entry.batch_max,
    })
}
