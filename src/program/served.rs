//! The services of a program, and which of them a name on the wire means.
//!
//! A program has one service, which is called with or without its name, or several, which are called by
//! `service:method`. A listener may be for one of them, which is then as if it were alone.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::meta::{Meta, NAME};
use crate::idl::{Schema, Service};
use crate::plan::Plan;
use crate::value::Text;

/// One service.
pub struct ServedService {
    /// Its name, in the IDL and on the wire.
    pub name: Arc<str>,
    /// Its IDL. Types of two services are never the same, even if they have one name.
    pub schema: Arc<Schema>,
    /// The service, as an index into the services of the schema.
    pub service: usize,
    /// One plan per served method, by its name.
    pub plans: BTreeMap<MethodName, Arc<Plan>>,
    /// The methods that are answered as unknown, in the IDL's order.
    pub unserved: Vec<Arc<str>>,
    /// The names under which the `Tributary` service is called.
    pub meta: Meta,
}

/// The name of a method, which a call is compared with as bytes: its text need not be checked again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MethodName(Arc<str>);

impl From<Arc<str>> for MethodName {
    fn from(name: Arc<str>) -> Self {
        MethodName(name)
    }
}

/// The order of texts is that of their bytes.
impl Borrow<[u8]> for MethodName {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl ServedService {
    /// The plan of the method called `name`.
    pub fn plan(&self, name: &str) -> Option<&Arc<Plan>> {
        self.plans.get(name.as_bytes())
    }

    /// The service in the IDL.
    pub fn service(&self) -> &Service {
        &self.schema.services[self.service]
    }

    /// The plans in the order of the IDL.
    pub fn plans_in_order(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let methods = self.service().methods.iter();
        methods.filter_map(|method| self.plan(&method.name))
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
pub fn plan<'s>(services: &'s [ServedService], name: &Text) -> Option<&'s Arc<Plan>> {
    // The usual case: a single service, called without its name.
    if let [only] = services
        && let Some(plan) = only.plans.get(name.as_bytes())
    {
        return Some(plan);
    }
    let (service, method) = find(services, name.as_str())?;
    service.plan(method)
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
        return of.plan(method);
    }
    let mut found = services.iter().filter_map(|of| of.plan(name));
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
