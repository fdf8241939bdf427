//! Checks a configuration against its IDL and against itself, and makes the [`Program`] that a server runs.
//!
//! In: the path of a configuration. Out: a program, or every problem of the file and of its IDL. This is what the command
//! `check` does. `serve` and a reload begin with it, before they bind or replace anything. No store is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::check_access;
use super::asked_again::{check_hedges, check_retries};
use super::callers::CallerLimits;
use super::definition::{Asks, BackendDef, InjectFrom, LookupDef, Program, Registry};
use super::examine;
use super::file::{self, BackendEntry, ConfigFile, LookupEntry};
use super::lonely_keys::warn_of_lonely_keys;
use super::meta::{Meta, check_meta, is_meta};
use super::served::ServedService;
use super::sharing::Sharing;
use super::views::compile_views;
use crate::backend::{AnyConfig, Enums, Yields};
use crate::config::{
    Definition, Document, Effective, InjectKey, Place, ServiceEntry, pick_service, read_idl,
};
use crate::diagnostic::{Problem, suggest};
use crate::error::Code;
use crate::faults::Faults;
use crate::plan::{BackendFacts, LookupFacts, LookupId, Step};
use crate::stamp::FilesRead;

/// Reads and checks the configuration at `path` and the IDL it names.
pub fn check(path: &str, registry: &Registry) -> Result<Program, Vec<Problem>> {
    let document = file::open(path, &[]).map_err(|problem| vec![*problem])?;
    check_document(document, registry)
}

/// Like [`check`], for a document that is already in memory. Paths are relative to its path.
pub fn check_document(document: Document, registry: &Registry) -> Result<Program, Vec<Problem>> {
    check_noting(document, registry).map_err(|refused| refused.problems)
}

/// Like [`check`], and says which files it read even if it refuses the configuration. `idl_path` are the folders of the
/// command line.
pub fn check_again(
    path: &str,
    idl_path: &[PathBuf],
    registry: &Registry,
) -> Result<Program, Refused> {
    let document = file::open(path, idl_path).map_err(|problem| {
        let mut files = FilesRead::default();
        files.note(Path::new(path));
        let problems = vec![*problem];
        Refused { problems, files }
    })?;
    check_noting(document, registry)
}

/// A configuration with problems.
#[derive(Debug)]
pub struct Refused {
    /// All of them, at least one.
    pub problems: Vec<Problem>,
    /// What was read: the problems stay until one of these files changes, or a variable of the environment.
    pub files: FilesRead,
}

fn check_noting(document: Document, registry: &Registry) -> Result<Program, Refused> {
    let config = file::read(&document);
    unique_names(&document, &config, registry);
    let facts = facts(&config, registry);
    let backends = config.backends.iter();
    let kind = |of: &BackendEntry| of.config.as_ref().map(AnyConfig::kind);
    let backends = backends.map(|of| (Arc::clone(&of.name), kind(of)));
    let backends: Vec<BackendFacts> = backends.collect();
    let mut idl_problems = Vec::new();
    let entries = config.server.services.iter();
    // Checks all services even after a bad one, so that the problems of each are reported.
    let services: Vec<Option<ServedService>> = entries
        .map(|entry| check_service(&document, entry, (&facts, &backends), &mut idl_problems))
        .collect();
    let services: Option<Vec<ServedService>> = services.into_iter().collect();
    let services = services.map(numbered);
    if let Some(services) = &services {
        check_retries(&document, &config, services);
        check_hedges(&document, &config, services);
        check_names(&document, &config, services);
        warn_of_unused(&document, &config, services);
        warn_of_lonely_keys(&document, &config.lookups, services);
    }
    if document.problems.is_empty() {
        check_access(&document, &config);
    }
    let mut problems = document.problems.into_vec();
    problems.append(&mut idl_problems);
    match services {
        Some(services) if problems.is_empty() => {
            let mut program = assemble(config, registry, services);
            program.files = document.files.take();
            program.expiries = document.expiries.take();
            program.effective = Arc::new(Effective::new(
                document.source.clone(),
                document.keys.take(),
            ));
            program.warnings = document.warnings.into_vec();
            program.warnings = examine::warnings(&program, &document.source);
            Ok(program)
        }
        _ => {
            let mut files = document.files.take();
            files.extend(document.data_files.take());
            Err(Refused { problems, files })
        }
    }
}

/// One service, with its plans. `None` if its IDL or its service can't be read, which is a problem; a plan is missing
/// if its view has a problem.
fn check_service(
    document: &Document,
    entry: &ServiceEntry,
    facts: (&[LookupFacts], &[BackendFacts]),
    idl_problems: &mut Vec<Problem>,
) -> Option<ServedService> {
    let (path, place) = entry.idl.as_ref()?;
    let (schema, mut problems) = read_idl(document, path, place);
    idl_problems.append(&mut problems);
    let schema = schema?;
    let at = pick_service(document, &schema, entry.service.as_ref(), &entry.place)?;
    let service = &schema.services[at];
    let plans = compile_views(document, entry, (&schema, service), facts);
    check_meta(document, &schema, service, &entry.place);
    let own = service.methods.iter();
    let own = own.filter(|method| !is_meta(&schema, method) && !plans.contains_key(&method.name));
    Some(ServedService {
        name: Arc::clone(&service.name),
        meta: Meta::of(&schema, service, &entry.unserved),
        unserved: own.map(|method| Arc::clone(&method.name)).collect(),
        service: at,
        plans: plans
            .into_iter()
            .map(|(name, plan)| (name.into(), Arc::new(plan)))
            .collect(),
        schema: Arc::new(schema),
    })
}

/// Gives each plan its index in the program and, if there are several services, a label that no other one has.
fn numbered(mut services: Vec<ServedService>) -> Vec<ServedService> {
    let several = services.len() > 1;
    let mut index = 0;
    for (at, service) in services.iter_mut().enumerate() {
        for plan in service.plans.values_mut() {
            let plan = Arc::make_mut(plan);
            (plan.index, plan.service) = (index, at);
            if several {
                plan.label = format!("{}:{}", service.name, plan.method).into();
            }
            index += 1;
        }
    }
    services
}

/// Reports services that clients could not tell apart, and listeners for a service that there is not.
fn check_names(document: &Document, config: &ConfigFile, services: &[ServedService]) {
    for (at, (of, entry)) in services.iter().zip(&config.server.services).enumerate() {
        if services[..at].iter().any(|before| before.name == of.name) {
            let place = entry
                .service
                .as_ref()
                .map_or(&entry.place, |(_, place)| place);
            let message = format!("another service is called `{}` too", of.name);
            let help = "clients call `service:method`: rename one of them in its IDL";
            document.problem(place, Code::ConfigClash, message, Some(help.into()));
        }
    }
    let bound = config
        .server
        .listeners
        .iter()
        .map(|listener| listener.service.as_ref());
    for (name, place) in bound.clone().flatten() {
        if !services.iter().any(|of| *of.name == **name) {
            let known = services.iter().map(|of| &*of.name);
            let help = suggest(name, known, || "there is no service".into());
            let message = format!("no service `{name}` is served");
            document.problem(place, Code::ConfigUnknownName, message, Some(help));
        }
    }
    for (of, entry) in services.iter().zip(&config.server.services) {
        let serves =
            |bound: Option<&(String, Place)>| bound.is_none_or(|(name, _)| **name == *of.name);
        if !bound.clone().any(serves) {
            let message = format!("no listener serves `{}`", of.name);
            let help = "add a listener for it, or one without `service`, which serves all";
            document.warning(
                &entry.place,
                Code::ConfigReference,
                message,
                Some(help.into()),
            );
        }
    }
}

/// Warns of lookups that no view uses, and of backends that no lookup asks.
fn warn_of_unused(document: &Document, config: &ConfigFile, services: &[ServedService]) {
    let used = |at: usize| {
        let mut plans = services.iter().flat_map(|of| of.plans.values());
        let asks = |step: &Step| step.lookup == LookupId(at);
        plans.any(|plan| plan.steps.iter().flat_map(Step::attempts).any(asks))
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
        is_repeatable: entry
            .compiled
            .as_ref()
            .is_none_or(|compiled| compiled.lookup.is_repeatable()),
    });
    let of_code = registry.iter().map(|(name, closure)| LookupFacts {
        name: Arc::clone(name),
        backend: Arc::from("code"),
        params: Some(closure.params().to_vec()),
        enums: Enums::Number,
        yields: Yields::Any,
        timeout: None,
        parse_text: false,
        is_repeatable: true,
    });
    of_file.chain(of_code).collect()
}

fn assemble(config: ConfigFile, registry: &Registry, services: Vec<ServedService>) -> Program {
    let of_file = config.lookups.into_iter().filter_map(lookup_def);
    let of_code = registry.iter().map(|(name, closure)| LookupDef {
        name: Arc::clone(name),
        asks: Asks::Closure(closure.clone()),
        params: closure.params().to_vec(),
        in_flight_max: None,
        wait_max: None,
        sharing: Sharing::default(),
        inject: Faults::default(),
        budget: None,
        definition: Definition::default(),
    });
    let mut lookups: Vec<LookupDef> = of_file.chain(of_code).collect();
    for plan in services.iter().flat_map(|of| of.plans.values()) {
        for step in plan.steps.iter().flat_map(Step::attempts) {
            let timeout = step.timeout.unwrap_or(plan.deadline);
            let budget = Some(timeout.min(plan.deadline));
            let of_lookup = &mut lookups[step.lookup.0].budget;
            *of_lookup = budget.max(*of_lookup);
        }
    }
    Program {
        services,
        listeners: config.server.listeners,
        workers: config.server.workers.count,
        workers_from: config.server.workers.from,
        drain_delay: config.server.drain_delay,
        drain_timeout: config.server.drain_timeout,
        reload: config.server.reload,
        limits: config.server.limits,
        overload: config.server.overload,
        tokens: config.server.tokens,
        inject: config.server.inject.map(|key| match key {
            InjectKey::Everyone => InjectFrom::Everyone,
            InjectKey::Callers(key) => InjectFrom::Callers(key.allow),
        }),
        callers: CallerLimits::new(config.callers),
        admin: config.admin,
        log: config.log,
        traces: config.traces,
        lookups,
        backends: config
            .backends
            .into_iter()
            .filter_map(backend_def)
            .collect(),
        warnings: Vec::new(),
        expiries: Vec::new(),
        effective: Arc::default(),
        files: FilesRead::default(),
    }
}

// Both return `Some` for every entry of a configuration without problems, so that indices stay valid.
fn lookup_def(entry: LookupEntry) -> Option<LookupDef> {
    let compiled = entry.compiled?;
    Some(LookupDef {
        name: entry.name,
        asks: Asks::Store(entry.backend?, compiled.lookup),
        params: compiled.params,
        in_flight_max: entry.in_flight_max,
        wait_max: entry.wait_max,
        sharing: entry.sharing,
        inject: entry.inject,
        budget: None,
        definition: entry.definition,
    })
}

fn backend_def(entry: BackendEntry) -> Option<BackendDef> {
    Some(BackendDef {
        name: entry.name,
        config: entry.config?,
        in_flight_max: entry.in_flight_max,
        waiting_max: entry.waiting_max,
        wait_max: entry.wait_max,
        definition: entry.definition,
        batch_max: entry.batch_max,
        breaker: entry.breaker,
    })
}
