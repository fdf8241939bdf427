//! The methods of the `Tributary` service, and their plans by the program's own standard include.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::error::Code;
use crate::idl::{Schema, Type};
use crate::plan::{Plan, ReplyShape, Throw, ThrowOn};

/// A method of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Method {
    Describe,
    Idl,
    Explain,
    Health,
    Fetch,
}

pub(super) const METHODS: [(&str, Method); 5] = [
    ("describe", Method::Describe),
    ("idl", Method::Idl),
    ("explain", Method::Explain),
    ("health", Method::Health),
    ("fetch", Method::Fetch),
];

impl Method {
    pub(in crate::service) fn named(name: &str) -> Option<Self> {
        let mut methods = METHODS.iter();
        let found = methods.find(|(known, _)| *known == name);
        found.map(|(_, method)| *method)
    }

    pub(in crate::service) fn name(self) -> &'static str {
        METHODS[self as usize].0
    }

    /// A plan without lookups, and the schema that its types refer to.
    pub(in crate::service) fn signature(self) -> (&'static Plan, &'static Schema) {
        (self.plan(), schema())
    }

    /// The plan: parameters, result and exceptions, as for a view.
    pub(super) fn plan(self) -> &'static Plan {
        static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
            let methods = METHODS.iter();
            methods.map(|(name, _)| plan(schema(), name)).collect()
        });
        &PLANS[self as usize]
    }
}

/// The schema of the standard include.
pub(super) fn schema() -> &'static Schema {
    crate::idl::standard()
}

/// Reads the standard include now, so that no call has to wait for it.
pub(super) fn prepare() {
    Method::Describe.plan();
}

/// A plan without lookups for the method called `name`.
fn plan(schema: &Schema, name: &str) -> Plan {
    let service = schema.service("Tributary");
    let method = service.and_then(|service| service.method(name));
    let method = method.expect("the standard include declares it");
    let throws = method.throws.iter().filter_map(|field| match field.ty {
        Type::Struct(of) => Some(Throw {
            id: field.id,
            of,
            // The name of an unknown view is a bad parameter like any other.
            on: if Some(of) == schema.standard.invalid_request {
                ThrowOn::Codes(vec![Code::CallBadParams, Code::CallUnknownMethod])
            } else {
                ThrowOn::Standard
            },
        }),
        _ => None,
    });
    Plan {
        index: 0,
        method: Arc::clone(&method.name),
        service: 0,
        label: Arc::clone(&method.name),
        key: Arc::from(""),
        oneway: false,
        params: method.params,
        context_param: None,
        deadline: Duration::ZERO,
        steps: Vec::new(),
        referred: false,
        lanes: Arc::new([]),
        declared: Vec::new(),
        reply: ReplyShape::Whole(method.result.clone().expect("each of them returns")),
        placing: None,
        report_field: None,
        report_always: false,
        allow: None,
        brownout: None,
        throws: throws.collect(),
    }
}
