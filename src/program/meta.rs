//! Knows the names under which the built-in `Tributary` service is called. Pure.
//!
//! The standard include declares the service. Its methods need no views, since the server itself answers them. It follows
//! its own copy of the include, even if the operator's IDL has a copy next to it.

use std::sync::Arc;

use crate::config::{Document, Place, Unserved};
use crate::error::Code;
use crate::idl::{self, Method, Schema, Service};

/// The name of the service, as multiplexed clients send it.
pub(super) const NAME: &str = "Tributary";
/// The prefix of the names of its parameter structs.
const PARAMS: &str = "tributary.Tributary.";

/// The names under which the `Tributary` service is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// It is called as `Tributary:METHOD`, in addition to the operator's service.
    multiplexed: bool,
    /// The methods that the operator's service inherits from it.
    inherited: Vec<Arc<str>>,
    /// The methods that the operator turned off.
    unserved: Vec<String>,
}

impl Meta {
    /// The names where `service` is served, without the methods in `unserved`.
    pub(super) fn of(schema: &Schema, service: &Service, unserved: &Unserved) -> Self {
        let own = service.methods.iter();
        let inherited = own.filter(|method| is_meta(schema, method));
        let inherited: Vec<Arc<str>> = inherited.map(|method| Arc::clone(&method.name)).collect();
        Meta {
            // If the operator's service has that name, calls mean the operator's service.
            multiplexed: &*service.name != NAME || !inherited.is_empty(),
            inherited,
            unserved: unserved
                .methods
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    /// The built-in method that a call to `name` means; `None` if it means none. `service` is the operator's.
    pub fn method<'a>(&self, name: &'a str, service: &str) -> Option<&'a str> {
        let inherits = |method: &str| self.inherited.iter().any(|have| **have == *method);
        let (means, method) = match name.split_once(':') {
            Some((NAME, method)) if self.multiplexed => (true, method),
            Some((prefix, method)) => (prefix == service && inherits(method), method),
            None => (inherits(name), name),
        };
        (means && !self.is_unserved(method)).then_some(method)
    }

    /// Whether the operator turned off a method. A method that is not inherited belongs to the operator.
    fn is_unserved(&self, method: &str) -> bool {
        let inherited = self.inherited.iter().any(|have| **have == *method);
        inherited && self.unserved.iter().any(|name| name == method)
    }
}

/// Whether it is a method of the built-in service.
pub(crate) fn is_meta(schema: &Schema, method: &Method) -> bool {
    schema.get(method.params).name.starts_with(PARAMS)
}

/// Reports methods that `service` inherits from a copy of the standard include that differs from the built-in one.
pub(super) fn check_meta(document: &Document, schema: &Schema, service: &Service, place: &Place) {
    let known = idl::standard();
    let known_service = known.service(NAME);
    for method in &service.methods {
        if !is_meta(schema, method) {
            continue;
        }
        let same = known_service
            .and_then(|service| service.method(&method.name))
            .is_some_and(|ours| signature(known, ours) == signature(schema, method));
        if !same {
            let message = format!(
                "`Tributary.{}` of the `tributary.thrift` beside the IDL differs from what this program serves",
                method.name
            );
            let help = "remove that copy: the program has its own, which clients get from `idl()`";
            document.problem(place, Code::IdlInvalid, message, Some(help.into()));
        }
    }
}

/// The parameters and the result of a method, for messages.
fn signature(schema: &Schema, method: &Method) -> (Vec<(i16, String)>, Option<String>) {
    let fields = schema.get(method.params).fields.iter();
    let params = fields.map(|field| (field.id, schema.describe(&field.ty)));
    let result = method.result.as_ref().map(|ty| schema.describe(ty));
    (params.collect(), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of an IDL whose service extends the one that `standard` declares.
    fn copied(standard: &str) -> Vec<String> {
        let own = "include 'tributary.thrift' service S extends tributary.Tributary {}";
        let read = |name: &str| {
            let text = if name == "s.thrift" { own } else { standard };
            Some(text.to_owned())
        };
        let schema = idl::load_from("s.thrift", &read).expect("it loads");
        let document = crate::config::document("");
        let place = crate::config::whole(&document).place().clone();
        check_meta(&document, &schema, &schema.services[0], &place);
        let problems = document.problems.into_vec();
        problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn an_operators_copy_of_the_include_may_be_older_but_not_different() {
        let current = &idl::standard().sources[0].text;
        assert_eq!(copied(current), Vec::<String>::new());
        let older = "struct Health { 1: i32 state } service Tributary { Health health() }";
        assert_eq!(copied(older), Vec::<String>::new());
        for other in [
            "struct Health {} service Tributary { Health health(1: i32 deep) }",
            "service Tributary { string health() }",
            "service Tributary { void health() }",
            "service Tributary { void stop() }",
        ] {
            let problems = copied(other);
            assert_eq!(problems.len(), 1, "{other}");
            assert!(
                problems[0].contains("differs from what this program serves"),
                "{problems:?}"
            );
        }
    }

    fn meta(idl: &str, unserved: &[&str]) -> Meta {
        let schema = crate::cli::testing::schema(idl);
        let document = crate::config::document("");
        let place = crate::config::whole(&document).place().clone();
        let methods = unserved.iter().map(|name| ((*name).into(), place.clone()));
        let unserved = Unserved {
            methods: methods.collect(),
            others: false,
        };
        Meta::of(&schema, &schema.services[0], &unserved)
    }

    #[test]
    fn in_addition_to_the_operators_service_it_has_a_prefix() {
        let meta = meta("service S { void describe() }", &["describe"]);
        assert_eq!(meta.method("Tributary:describe", "S"), Some("describe"));
        for other in ["describe", "S:describe", "tributary:describe", "T:describe"] {
            assert_eq!(meta.method(other, "S"), None, "{other}");
        }
    }

    #[test]
    fn a_service_that_extends_it_has_its_methods() {
        let idl = "include 'tributary.thrift'
            service S extends tributary.Tributary { void own() }";
        let meta = meta(idl, &["fetch"]);
        for name in ["idl", "S:idl", "Tributary:idl"] {
            assert_eq!(meta.method(name, "S"), Some("idl"), "{name}");
        }
        // An unserved method is unserved under every name.
        for name in ["fetch", "S:fetch", "Tributary:fetch", "own", "S:own"] {
            assert_eq!(meta.method(name, "S"), None, "{name}");
        }
    }

    #[test]
    fn an_operators_service_of_that_name_takes_precedence() {
        let meta = meta("service Tributary { void own() }", &[]);
        assert_eq!(meta.method("Tributary:describe", "Tributary"), None);
        assert_eq!(meta.method("describe", "Tributary"), None);
    }
}
