//! Compiles one view of the configuration against its method in the IDL, to a [`Plan`].
//!
//! Pure: the same entry gives the same plan or the same problems. Every problem of the view is reported at its own key.
//! There is a plan only if there was no problem.

use std::sync::Arc;
use std::time::Duration;

use super::compiled::{Binding, Condition, Foreach, Plan, ReplyShape};
use super::reference::{Item, Reference, Root, Unresolved, ViewNames};
use crate::backend::{Enums, Yields};
use crate::coerce::{Coercion, enum_in};
use crate::config::{BoundParam, Document, Place, UseEntry, ViewEntry, WithEntry};
use crate::diagnostic::{did_you_mean, list, nearest, suggest};
use crate::error::Code;
use crate::idl::{Method, Schema, StructType, Type};
use crate::value::Value;

/// What a view needs to know about a lookup.
#[derive(Clone, Debug)]
pub struct LookupFacts {
    /// Its name.
    pub name: Arc<str>,
    /// Its backend's name.
    pub backend: Arc<str>,
    /// Its parameters; `None` if the lookup itself had problems.
    pub params: Option<Vec<Arc<str>>>,
    /// How its store reads enums.
    pub enums: Enums,
    /// What kind of value it answers with.
    pub yields: Yields,
    /// Its own timeout.
    pub timeout: Option<Duration>,
    /// Text may fill numbers and bools.
    pub parse_text: bool,
    /// Asking twice has the effect of asking once.
    pub is_repeatable: bool,
}

/// A backend's name, and its kind unless it has a problem of its own.
pub type BackendFacts = (Arc<str>, Option<&'static str>);

/// What all views of a configuration are compiled against.
#[derive(Clone, Copy, Debug)]
pub struct CompileEnv<'a> {
    /// Where problems go.
    pub document: &'a Document,
    /// The IDL.
    pub schema: &'a Schema,
    /// All lookups, by [`LookupId`](super::LookupId).
    pub lookups: &'a [LookupFacts],
    /// The names of all backends, and the kinds of those that have no problem.
    pub backends: &'a [BackendFacts],
}

/// Compiles `view` for `method`. `None` if there were problems, which are in the document.
pub fn compile(view: &ViewEntry, method: &Method, scope: CompileEnv<'_>) -> Option<Plan> {
    let before = scope.document.problems.len();
    let (view, spare) = &scope.set_aside(view)?;
    let uses: Vec<Arc<str>> = view
        .uses
        .iter()
        .map(|entry| Arc::clone(&entry.name))
        .collect();
    let compiler = Compiler {
        scope,
        view,
        method,
        params: scope.schema.get(method.params),
        uses: &uses,
        reply: reply_shape(scope.schema, method),
    };
    let mut drafts: Vec<Draft> = view
        .uses
        .iter()
        .map(|entry| compiler.draft(entry))
        .collect();
    let order = compiler.order(&drafts);
    let targets = compiler.targets();
    let throws = compiler.throws();
    compiler.check_brownout(&drafts, &targets);
    if scope.document.problems.len() == before {
        compiler.draft_fallbacks(&mut drafts, spare, &targets);
    }
    if scope.document.problems.len() > before {
        return None;
    }
    Some(compiler.assemble(drafts, &order?, targets, throws))
}

fn reply_shape(schema: &Schema, method: &Method) -> ReplyShape {
    match &method.result {
        None => ReplyShape::Void,
        Some(Type::Struct(id)) if schema.get(*id).kind == crate::idl::StructKind::Struct => {
            ReplyShape::Struct(*id)
        }
        Some(ty) => ReplyShape::Whole(ty.clone()),
    }
}

/// A use with its names resolved. References to other lookups are still indices in declared order.
pub(super) struct Draft {
    pub(super) lookup: Option<usize>,
    pub(super) bindings: Vec<Binding>,
    pub(super) when: Option<Condition>,
    pub(super) foreach: Option<Foreach>,
    /// The uses that it refers to.
    pub(super) needs: Vec<usize>,
    /// What is asked if it fails, in this order.
    pub(super) fallbacks: Vec<Fallback>,
}

/// What is asked instead of a lookup.
pub(super) struct Fallback {
    /// Its name in `else`.
    pub(super) name: Arc<str>,
    /// The lookup that it stands in for, asking what the fallback asks.
    pub(super) entry: UseEntry,
    pub(super) draft: Draft,
}

pub(super) struct Compiler<'a> {
    pub(super) scope: CompileEnv<'a>,
    pub(super) view: &'a ViewEntry,
    pub(super) method: &'a Method,
    pub(super) params: &'a StructType,
    pub(super) uses: &'a [Arc<str>],
    pub(super) reply: ReplyShape,
}

impl Compiler<'_> {
    pub(super) fn problem(&self, place: &Place, code: Code, message: String, help: Option<String>) {
        self.scope.document.problem(place, code, message, help);
    }

    pub(super) fn draft(&self, entry: &UseEntry) -> Draft {
        let mut needs = Vec::new();
        let when = entry.when.as_ref().and_then(|when| {
            let (text, place) = &when.reference;
            let (reference, ty) = self.resolve(text, place, &Item::Absent, &mut needs)?;
            if let (Some((equals, place)), Some(ty)) = (&when.equals, &ty)
                && let Err(why) = Coercion::new(self.scope.schema, false)
                    .written()
                    .value(equals.clone(), ty)
            {
                let message = format!("`equals` can never hold: {why}");
                self.problem(place, Code::ConfigType, message, None);
            }
            let equals = when.equals.as_ref().map(|(value, _)| value.clone());
            Some(Condition {
                reference,
                equals: self.typed_equals(equals, ty.as_ref()),
            })
        });
        let (foreach, item) = self.foreach(entry, &mut needs);
        let lookup = self.find_lookup(entry);
        let bindings = lookup
            .map(|at| self.bindings(entry, at, &item, &mut needs))
            .unwrap_or_default();
        needs.sort_unstable();
        needs.dedup();
        Draft {
            lookup,
            bindings,
            when,
            foreach,
            needs,
            fallbacks: Vec::new(),
        }
    }

    /// Enums are compared by number, so the name of one in `equals` becomes its number.
    fn typed_equals(&self, equals: Option<Value>, ty: Option<&Type>) -> Option<Value> {
        let equals = equals?;
        match ty {
            Some(ty) => Coercion::new(self.scope.schema, false)
                .written()
                .value(equals, ty)
                .ok(),
            None => Some(equals),
        }
    }

    fn find_lookup(&self, entry: &UseEntry) -> Option<usize> {
        let (wanted, place) = &entry.lookup;
        let found = self
            .scope
            .lookups
            .iter()
            .position(|lookup| &*lookup.name == wanted);
        if found.is_none() {
            let names: Vec<&str> = self
                .scope
                .lookups
                .iter()
                .map(|lookup| &*lookup.name)
                .collect();
            let help = did_you_mean(wanted, names.iter().copied()).unwrap_or_else(|| {
                format!("add `[lookups.{wanted}]`, or name another with `use = \"...\"`")
            });
            self.problem(
                place,
                Code::ConfigUnknownName,
                format!("there is no lookup `{wanted}`"),
                Some(help),
            );
        }
        found
    }

    fn bindings(
        &self,
        entry: &UseEntry,
        lookup: usize,
        item: &Item,
        needs: &mut Vec<usize>,
    ) -> Vec<Binding> {
        let facts = &self.scope.lookups[lookup];
        let Some(params) = &facts.params else {
            for bound in &entry.with {
                if let WithEntry::Reference(text) = &bound.to {
                    self.resolve(text, &bound.place, item, needs);
                }
            }
            return Vec::new();
        };
        for BoundParam {
            name, name_place, ..
        } in &entry.with
        {
            if !params.iter().any(|param| **param == **name) {
                let known = params.iter().map(|param| &**param);
                let help = suggest(name, known, || "it has none".into());
                self.problem(
                    name_place,
                    Code::ConfigUnknownName,
                    format!("lookup `{}` has no parameter `{name}`", facts.name),
                    Some(help),
                );
            }
        }
        params
            .iter()
            .filter_map(|param| self.binding(entry, (facts, param), item, needs))
            .collect()
    }

    fn binding(
        &self,
        entry: &UseEntry,
        (facts, param): (&LookupFacts, &str),
        item: &Item,
        needs: &mut Vec<usize>,
    ) -> Option<Binding> {
        let given = entry.with.iter().find(|bound| bound.name == param);
        match given.map(|bound| (&bound.to, &bound.place)) {
            Some((WithEntry::Literal(value), _)) => Some(Binding::Literal(value.clone())),
            Some((WithEntry::Reference(text), place)) => {
                let (reference, ty) = self.resolve(text, place, item, needs)?;
                let named = ty.filter(|ty| self.is_named((facts, param), ty, place));
                Some(match named {
                    Some(ty) => Binding::Named(reference, ty),
                    None => Binding::To(reference),
                })
            }
            None => match self.params.field(param) {
                Some((at, field)) => {
                    let reference = Reference {
                        root: Root::Param(at),
                        path: Vec::new(),
                    };
                    let is_named = self.is_named((facts, param), &field.ty, &entry.place);
                    Some(if is_named {
                        Binding::Named(reference, field.ty.clone())
                    } else {
                        Binding::To(reference)
                    })
                }
                None if is_misspelt(param, facts, entry) => None,
                None => {
                    let params = list(self.params.names.iter().map(|name| &**name));
                    self.problem(
                        &entry.place,
                        Code::ConfigReference,
                        format!("parameter `{param}` of lookup `{}` is not bound", entry.lookup.0),
                        Some(format!(
                            "add `with = {{ {param} = \"...\" }}`; the method's parameters are {params}"
                        )),
                    );
                    None
                }
            },
        }
    }

    /// Whether a value of type `ty` is bound with the names of its enums. Reports a lookup that has to say so and does not.
    fn is_named(&self, (facts, param): (&LookupFacts, &str), ty: &Type, place: &Place) -> bool {
        if facts.enums == Enums::Number {
            return false;
        }
        let Some(name) = enum_in(self.scope.schema, ty) else {
            return false;
        };
        if facts.enums == Enums::Unstated {
            let message = format!(
                "parameter `{param}` of lookup `{}` gets values of the enum {name}, and the store does not tell \
                 whether it is compared with names or with numbers",
                facts.name
            );
            let help = format!(
                "add `enums = \"name\"` or `enums = \"number\"` to `[lookups.{}]`",
                facts.name
            );
            self.problem(place, Code::ConfigMissingKey, message, Some(help));
        }
        true
    }

    pub(super) fn resolve(
        &self,
        text: &str,
        place: &Place,
        item: &Item,
        needs: &mut Vec<usize>,
    ) -> Option<(Reference, Option<Type>)> {
        let names = ViewNames {
            schema: self.scope.schema,
            params: self.params,
            uses: self.uses,
            item,
        };
        match names.resolve(text) {
            Ok((reference, ty)) => {
                if let Root::Lookup(at) = reference.root {
                    needs.push(at);
                }
                self.check_path(&reference, place);
                Some((reference, ty))
            }
            Err(Unresolved {
                message,
                known,
                wanted,
            }) => {
                let known = known.iter().map(String::as_str);
                let help = suggest(&wanted, known, String::new);
                let help = Some(help).filter(|help| !help.is_empty());
                self.problem(place, Code::ConfigReference, message, help);
                None
            }
        }
    }
}

/// Whether `with` binds `param` under a name that is reported as unknown.
fn is_misspelt(param: &str, facts: &LookupFacts, entry: &UseEntry) -> bool {
    let params = facts.params.iter().flatten();
    let is_known = |name: &str| params.clone().any(|of| **of == *name);
    let mut unknown = entry.with.iter().filter(|bound| !is_known(&bound.name));
    unknown.any(|bound| nearest(&bound.name, params.clone().map(|of| &**of)) == Some(param))
}
