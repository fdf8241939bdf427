//! Resolves services: their own methods and those they inherit.
//!
//! The parameters of a method become a struct. A service lists its own methods first, then those of the service it
//! extends, and so on. The total number of methods is bounded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::schema::{Field, Method, Service, StructKind, StructType, Type};
use super::super::syntax::{
    DefinitionBody, FieldSyntax, MethodSyntax, NESTING_MAX, Name, TypeRefKind,
};
use super::scope::{DefinitionId, Space};
use super::{Resolver, definitions, repeated};

/// The most methods of all services together; inherited methods count each time.
const METHODS_MAX: usize = 200_000;

/// Each service's own methods.
type Own = HashMap<DefinitionId, Vec<Method>>;

impl<'f> Resolver<'f> {
    pub(super) fn services(&mut self) {
        let mut own = Own::new();
        for (at, definition) in definitions(self.files) {
            if let DefinitionBody::Service(_, methods) = &definition.body {
                let resolved = self.methods(at, &definition.name, methods);
                own.insert(at, resolved);
            }
        }
        let mut left = METHODS_MAX;
        for (at, definition) in definitions(self.files) {
            if let DefinitionBody::Service(..) = definition.body {
                let methods = self.flatten(at, &own, &mut left);
                let by_name = methods
                    .iter()
                    .map(|method| Arc::clone(&method.name))
                    .zip(0..);
                self.schema.services.push(Service {
                    name: Arc::clone(&definition.name.text),
                    file: Arc::clone(&self.files[at.file].stem),
                    by_name: by_name.collect(),
                    methods,
                    doc: definition.doc.clone(),
                });
            }
        }
    }

    fn methods(
        &mut self,
        at: DefinitionId,
        service: &Name,
        written: &'f [MethodSyntax],
    ) -> Vec<Method> {
        let file = &self.files[at.file];
        for name in repeated(written.iter().map(|method| &method.name)) {
            self.problems.invalid(file, name.span, || {
                let message = format!("the service already has a method `{}`", name.text);
                (message, "rename or remove one of them".into())
            });
        }
        let prefix = self.full_name(at, service);
        let methods = written.iter();
        methods
            .filter_map(|method| self.method(at.file, &prefix, method))
            .collect()
    }

    fn method(&mut self, file: usize, prefix: &str, written: &'f MethodSyntax) -> Option<Method> {
        let name = &written.name.text;
        if written.oneway {
            self.check_oneway(file, written);
        }
        let result = match written.result.kind {
            TypeRefKind::Void => Some(None),
            _ => self.type_of(file, &written.result).map(Some),
        };
        let params = self.fields(file, &written.params, None);
        let params = self.push_struct(file, params, |fields, names| StructType {
            name: format!("{prefix}.{name} params").into(),
            kind: StructKind::Struct,
            fields,
            names,
            doc: None,
        });
        let throws = self.fields(file, &written.throws, None);
        self.check_throws(file, &throws.fields, &throws.origins);
        Some(Method {
            name: Arc::clone(name),
            oneway: written.oneway,
            params,
            result: result?,
            throws: throws.fields,
            doc: written.doc.clone(),
        })
    }

    fn check_oneway(&mut self, file: usize, method: &MethodSyntax) {
        let file = &self.files[file];
        let name = &method.name.text;
        if !matches!(method.result.kind, TypeRefKind::Void) {
            self.problems.invalid(file, method.result.span, || {
                let message = format!("`{name}` is oneway, but has a result");
                (message, "return `void`, or remove `oneway`".into())
            });
        }
        if let Some(thrown) = method.throws.first() {
            self.problems.invalid(file, thrown.name.span, || {
                let message = format!("`{name}` is oneway, but throws");
                (message, "remove `throws`, or `oneway`".into())
            });
        }
    }

    fn check_throws(&mut self, file: usize, fields: &[Field], origins: &[&FieldSyntax]) {
        for (field, origin) in fields.iter().zip(origins) {
            let exception = match field.ty {
                Type::Struct(id) => self.is_exception(id.0 as usize),
                _ => false,
            };
            if !exception {
                let name = self.schema.describe(&field.ty);
                self.problems
                    .invalid(&self.files[file], origin.ty.span, || {
                        let message = format!("`{name}` cannot be thrown: it is not an exception");
                        (
                            message,
                            "declare it as `exception` instead of `struct`".into(),
                        )
                    });
            }
        }
    }

    fn is_exception(&self, id: usize) -> bool {
        let found = self.schema.structs.get(id);
        found.is_some_and(|found| found.kind == StructKind::Exception)
    }

    /// The methods of the service at `start` and of those it extends.
    fn flatten(&mut self, start: DefinitionId, own: &Own, left: &mut usize) -> Vec<Method> {
        let mut methods = own.get(&start).cloned().unwrap_or_default();
        let mut way = vec![start];
        let mut at = start;
        while let DefinitionBody::Service(Some(parent), _) = &self.scope.definition(at).body {
            let Some(next) = self.parent(at, parent, at == start) else {
                break;
            };
            if way.contains(&next) || way.len() > NESTING_MAX {
                self.check_chain(start, next, way.len());
                break;
            }
            let inherited = own.get(&next).map_or(&[][..], Vec::as_slice);
            self.check_inherited(start, next, inherited);
            if inherited.len() > *left {
                let name = &self.scope.definition(start).name;
                self.problems
                    .invalid(&self.files[start.file], name.span, || {
                        let message =
                            format!("more than {METHODS_MAX} methods, including inherited ones");
                        (message, "let fewer services extend large ones".into())
                    });
                break;
            }
            *left -= inherited.len();
            methods.extend_from_slice(inherited);
            way.push(next);
            at = next;
        }
        methods
    }

    /// The service that the one at `at` extends. Problems are reported only if `report` is set, because a service is
    /// visited once for itself and again for each service that extends it.
    fn parent(&mut self, at: DefinitionId, parent: &Name, report: bool) -> Option<DefinitionId> {
        let found = self.scope.find(Space::Types, at.file, &parent.text);
        let is_service = |body: &DefinitionBody| matches!(body, DefinitionBody::Service(..));
        let service = found.filter(|&found| is_service(&self.scope.definition(found).body));
        if service.is_none() && report {
            let scope = &self.scope;
            self.problems
                .invalid(&self.files[at.file], parent.span, || {
                    let name = &parent.text;
                    match found {
                        Some(_) => (
                            format!("`{name}` is not a service"),
                            "only services can be extended".into(),
                        ),
                        None => (
                            format!("unknown service `{name}`"),
                            scope.remedy((Space::Types, at.file), name, &[], is_service),
                        ),
                    }
                });
        }
        service
    }

    /// Reports a cycle or a chain too long in the services that `start` extends.
    fn check_chain(&mut self, start: DefinitionId, next: DefinitionId, length: usize) {
        let name = &self.scope.definition(start).name;
        if next == start {
            self.problems
                .invalid(&self.files[start.file], name.span, || {
                    let message = format!("the service `{}` extends itself", name.text);
                    (message, "remove one `extends` of the cycle".into())
                });
        } else if length > NESTING_MAX {
            self.problems
                .invalid(&self.files[start.file], name.span, || {
                    let message =
                        format!("`{}` extends more than {NESTING_MAX} services", name.text);
                    (message, "merge some of the services".into())
                });
        }
    }

    /// Reports methods of the service at `start` that it also inherits.
    fn check_inherited(&mut self, start: DefinitionId, parent: DefinitionId, inherited: &[Method]) {
        let DefinitionBody::Service(_, methods) = &self.scope.definition(start).body else {
            return;
        };
        if methods.is_empty() || inherited.is_empty() {
            return;
        }
        let names: HashSet<&Arc<str>> = inherited.iter().map(|method| &method.name).collect();
        let parent = &self.scope.definition(parent).name.text;
        for method in methods
            .iter()
            .filter(|method| names.contains(&method.name.text))
        {
            self.problems
                .invalid(&self.files[start.file], method.name.span, || {
                    let message =
                        format!("`{}` is already a method of `{parent}`", method.name.text);
                    (
                        message,
                        "inherited methods can't be replaced; rename or remove this one".into(),
                    )
                });
        }
    }
}
