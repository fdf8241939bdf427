//! Checks a configuration against its IDL and against itself, and makes the [`Program`] that a server runs.
//!
//! In: the path of a configuration. Out: a program, or every problem of the file and of its IDL. This is what the command
//! `check` does. `serve` and a reload begin with it, before they bind or replace anything. No store is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::check_access;
use super::definition::{Asks, BackendDef, LookupDef, Program, Registry};
use super::file::{self, BackendEntry, ConfigFile, LookupEntry};
use super::inject::Inject;
use super::meta::{Meta, check_meta, is_meta};
use super::views::compile_views;
use crate::backend::{Enums, Yields};
use crate::config::{Document, pick_service, read_idl};
use crate::diagnostic::Problem;
use crate::error::Code;
use crate::idl::{Schema, Service};
use crate::plan::{LookupFacts, LookupId, Plan};

/// Reads and checks the configuration at `path` and the IDL it names.
pub fn check(path: &str, registry: &Registry) -> Result<Program, Vec<Problem>> {
    let document = file::open(path, &[]).map_err(|problem| vec![*problem])?;
    check_document(document, registry)
}

/// Like [`check`], for a document that is already in memory. Paths are relative to its path.
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
    if let Some((_, _, plans)) = &checked {
        warn_of_unused(&document, &config, plans);
    }
    let mut problems = document.problems.into_vec();
    problems.append(&mut idl_problems);
    match checked {
        Some((schema, service, plans)) if problems.is_empty() => Ok(Program {
            warnings: document.warnings.into_vec(),
            ..assemble(config, registry, schema, service, plans)
        }),
        _ => Err(problems),
    }
}

/// Warns of lookups that no view uses, and of backends that no lookup asks.
fn warn_of_unused(document: &Document, config: &ConfigFile, plans: &BTreeMap<Arc<str>, Arc<Plan>>) {
    let used = |at: usize| {
        let mut steps = plans.values().flat_map(|plan| &plan.steps);
        steps.any(|step| step.lookup == LookupId(at))
    };
    for (at, entry) in config.lookups.iter().enumerate() {
        if !used(at) {
            let help = Some("use it in a view, or remove it".into());
            let message = format!("no view uses the lookup `{}`", entry.name);
            document.warning(&entry.place, Code::ConfigReference, message, help);
        }
    }
    for (at, entry) in config.backends.iter().enumerate() {
        if !config
            .lookups
            .iter()
            .any(|lookup| lookup.backend == Some(at))
        {
            let help = Some("remove it, or ask it in a lookup".into());
            let message = format!("no lookup asks the backend `{}`", entry.name);
            document.warning(&entry.place, Code::ConfigReference, message, help);
        }
    }
}

/// Reports lookups of the file whose name a registered lookup has too.
fn unique_names(document: &Document, config: &ConfigFile, registry: &Registry) {
    for entry in &config.lookups {
        if registry.iter().any(|(name, _)| *name == entry.name) {
            let message = format!("a lookup `{}` is also registered in code", entry.name);
            let help = Some("rename one of them".into());
            document.problem(&entry.place, Code::ConfigClash, message, help);
        }
    }
}

fn facts(config: &ConfigFile, registry: &Registry) -> Vec<LookupFacts> {
    let of_file = config.lookups.iter().map(|entry| LookupFacts {
        name: Arc::clone(&entry.name),
        backend: entry
            .backend
            .map_or_else(|| Arc::from(""), |at| Arc::clone(&config.backends[at].name)),
        params: entry
            .compiled
            .as_ref()
            .map(|compiled| compiled.params.clone()),
        enums: entry
            .compiled
            .as_ref()
            .map_or(Enums::Number, |compiled| compiled.enums),
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
        enums: Enums::Number,
        yields: Yields::Any,
        timeout: None,
        parse_text: false,
    });
    of_file.chain(of_code).collect()
}

fn assemble(
    config: ConfigFile,
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
        meta: Meta::of(&schema, &schema.services[service], &config.server.unserved),
        unserved: unserved(&schema, &schema.services[service], &plans),
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
        warnings: Vec::new(),
    }
}

/// The operator's methods that have no view.
fn unserved(
    schema: &Schema,
    service: &Service,
    plans: &BTreeMap<Arc<str>, Arc<Plan>>,
) -> Vec<Arc<str>> {
    let own = service
        .methods
        .iter()
        .filter(|method| !is_meta(schema, method));
    let names = own.map(|method| &method.name);
    names
        .filter(|name| !plans.contains_key(*name))
        .cloned()
        .collect()
}

// Both return `Some` for every entry of a configuration without problems, so that indices stay valid.
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
