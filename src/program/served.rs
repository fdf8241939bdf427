//! The services of a program, and which of them a name on the wire means.
//!
//! A program has one service, which is called with or without its name, or several, which are called by
//! `service:method`. A listener may be for one of them, which is then as if it were alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meta::{Meta, NAME};
use crate::idl::{Schema, Service};
use crate::plan::Plan;

/// One service.
pub struct ServedService {
    /// Its name, in the IDL and on the wire.
    pub name: Arc<str>,
    /// Its IDL. Types of two services are never the same, even if they have one name.
    pub schema: Arc<Schema>,
    /// The service, as an index into the services of the schema.
    pub service: usize,
    /// One plan per served method, by its name.
    pub plans: BTreeMap<Arc<str>, Arc<Plan>>,
    /// The methods that are answered as unknown, in the IDL's order.
    pub unserved: Vec<Arc<str>>,
    /// The names under which the `Tributary` service is called.
    pub meta: Meta,
}

impl ServedService {
    /// The service in the IDL.
    pub fn service(&self) -> &Service {
        &self.schema.services[self.service]
    }

    /// The plans in the order of the IDL.
    pub fn plans_in_order(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let methods = self.service().methods.iter();
        methods.filter_map(|method| self.plans.get(&method.name))
    }
}

/// The service of `services` that a call to `name` means, and the name of the method there.
pub fn find<'s, 'n>(
    services: &'s [ServedService],
    name: &'n str,
) -> Option<(&'s ServedService, &'n str)> {
    let (at, method) = position(services, name)?;
    Some((&services[at], method))
}

/// The plan of the method that a call to `name` means.
pub fn plan<'s>(services: &'s [ServedService], name: &str) -> Option<&'s Arc<Plan>> {
    // The usual case: a single service, called without its name.
    if let [only] = services
        && let Some(plan) = only.plans.get(name)
    {
        return Some(plan);
    }
    let (service, method) = find(services, name)?;
    service.plans.get(method)
}

fn position<'n>(services: &[ServedService], name: &'n str) -> Option<(usize, &'n str)> {
    match (name.split_once(':'), services) {
        (Some((prefix, method)), _) => {
            let at = services.iter().position(|of| *of.name == *prefix)?;
            Some((at, method))
        }
        (None, [_only]) => Some((0, name)),
        (None, _) => None,
    }
}

/// The view of `services` that a person means by `name`: the service may be left out if only one of them has it.
pub fn view<'s>(services: &'s [ServedService], name: &str) -> Option<&'s Arc<Plan>> {
    if let Some((of, method)) = find(services, name) {
        return of.plans.get(method);
    }
    let mut found = services.iter().filter_map(|of| of.plans.get(name));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The method of the built-in service that a call to `name` means, and the services that it is about.
pub fn built_in<'s, 'n>(
    services: &'s [ServedService],
    name: &'n str,
) -> Option<(&'n str, &'s [ServedService])> {
    let of = |of: &ServedService| of.meta.method(name, &of.name);
    if name
        .split_once(':')
        .is_some_and(|(prefix, _)| prefix == NAME)
    {
        let methods: Option<Vec<&str>> = services.iter().map(of).collect();
        return Some((methods?.first().copied()?, services));
    }
    let (at, _) = position(services, name)?;
    Some((of(&services[at])?, &services[at..=at]))
}
