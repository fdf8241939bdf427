//! Finds the method that a request names.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostic::suggest;
use crate::idl;
use crate::plan::Plan;
use crate::program::{Program, ServedService};
use crate::thrift::ClientCall;

/// A method that is served.
pub(super) struct Found<'p> {
    pub(super) of: &'p ServedService,
    pub(super) plan: &'p Arc<Plan>,
    pub(super) method: &'p idl::Method,
    /// How it is called: with its service, if there are several.
    wire_name: Cow<'p, str>,
}

impl<'p> Found<'p> {
    /// The one that a person means by `name`; `Err` says which there are.
    pub(super) fn new(program: &'p Program, name: &str) -> Result<Self, String> {
        let plan = program.plan(name);
        let found = plan.and_then(|plan| {
            let of = &program.services[plan.service];
            let method = of.service().method(&plan.method)?;
            let wire_name = match program.services.len() {
                1 => Cow::Borrowed(&*method.name),
                _ => format!("{}:{}", of.name, method.name).into(),
            };
            Some(Found {
                of,
                plan,
                method,
                wire_name,
            })
        });
        found.ok_or_else(|| {
            let names: Vec<&str> = program.plans().map(|plan| &*plan.label).collect();
            let help = suggest(name, names.into_iter(), || "there are none".into());
            format!("there is no method `{name}`: {help}")
        })
    }

    /// The call on the wire.
    pub(super) fn call(&self) -> ClientCall<'_> {
        ClientCall {
            schema: &self.of.schema,
            method: self.method,
            name: &self.wire_name,
            sequence: 1,
        }
    }
}
