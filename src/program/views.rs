//! Compiles the views of a configuration, and checks that every method is served by exactly one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meta::is_meta;
use crate::config::{Document, ServiceEntry, unknown_method};
use crate::diagnostic::nearest;
use crate::error::Code;
use crate::idl::{Schema, Service};
use crate::plan::{BackendFacts, CompileEnv, LookupFacts, Plan, compile};

/// The plans of a service's methods, by their names. `schema` is its IDL.
pub(super) fn compile_views(
    document: &Document,
    entry: &ServiceEntry,
    (schema, service): (&Schema, &Service),
    (facts, backends): (&[LookupFacts], &[BackendFacts]),
) -> BTreeMap<Arc<str>, Plan> {
    let scope = CompileEnv {
        document,
        schema,
        lookups: facts,
        backends,
    };
    let mut plans = BTreeMap::new();
    for view in &entry.views {
        let Some(method) = service.method(&view.name) else {
            unknown_method(document, service, &view.name, &view.place);
            continue;
        };
        if is_meta(schema, method) {
            let message = format!("method `{}` is served by the server itself", view.name);
            let help = Some("remove the view".into());
            document.problem(&view.place, Code::ConfigClash, message, help);
            continue;
        }
        if let Some(plan) = compile(view, method, scope) {
            plans.insert(Arc::clone(&view.name), plan);
        }
    }
    missing_views(document, entry, schema, service);
    plans
}

/// Reports methods that neither have a view nor are `unserved`.
fn missing_views(document: &Document, entry: &ServiceEntry, schema: &Schema, service: &Service) {
    let unserved = &entry.unserved;
    for (name, place) in &unserved.methods {
        if service.method(name).is_none() {
            unknown_method(document, service, name, place);
        }
    }
    let (of_views, table) = match &*entry.place.key {
        "server" => ("", "[server]"),
        _ => ("services.", "[[services]]"),
    };
    // A misspelt view is one problem: its method is not reported as well.
    let names = || service.methods.iter().map(|method| &*method.name);
    let misspelt: Vec<&str> = entry
        .views
        .iter()
        .filter(|view| service.method(&view.name).is_none())
        .filter_map(|view| nearest(&view.name, names()))
        .collect();
    let own = service.methods.iter();
    for method in own.filter(|method| !is_meta(schema, method)) {
        let viewed = entry.views.iter().any(|view| view.name == method.name);
        if let Some(place) = unserved.named(&method.name)
            && viewed
        {
            let message = format!("method `{}` is `unserved` and has a view", method.name);
            let help = Some("remove one of the two".into());
            document.problem(place, Code::ConfigClash, message, help);
        }
        let missing = !unserved.covers(&method.name) && !viewed;
        if missing && !misspelt.contains(&&*method.name) {
            document.problem(
                &entry.place,
                Code::ConfigMissingKey,
                format!(
                    "method `{}` of service `{}` has no view",
                    method.name, service.name
                ),
                Some(format!(
                    "add `[{1}views.{0}.lookups]`, or `unserved = [\"{0}\"]` to `{2}`",
                    method.name, of_views, table
                )),
            );
        }
    }
}
