//! Compiles one view: from what the configuration says, and the method's types, to a [`Plan`].
//!
//! Pure: the same entry gives the same plan or the same problems. Every problem of the view is reported,
//! each at its own key; a plan comes back only when there was none.

use std::sync::Arc;
use std::time::Duration;

use super::conform::Conform;
use super::plan::{Binding, Condition, Foreach, Plan, ReplyShape, Step, Target, Throw, ThrowOn};
use super::reference::{Names, Reference, Root, Unresolved};
use super::target::{can_fit, element_of, field_at, unfilled};
use crate::backend::Yields;
use crate::config::{Document, Place, UseEntry, ViewEntry, WithEntry, list, nearest};
use crate::error::Code;
use crate::guard::LookupId;
use crate::idl::{Method, Schema, StructId, StructType, Type};
use crate::value::Value;

/// What a view needs to know of a lookup.
#[derive(Clone, Debug)]
pub struct LookupFacts {
    /// Its name.
    pub name: Arc<str>,
    /// Its backend's name.
    pub backend: Arc<str>,
    /// Its parameters; `None` when the lookup itself had problems.
    pub params: Option<Vec<Arc<str>>>,
    /// What its answers look like.
    pub yields: Yields,
    /// Its own timeout.
    pub timeout: Option<Duration>,
    /// Text may fill numbers and bools.
    pub parse_text: bool,
}

/// What all views of a configuration are compiled against.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Where problems go.
    pub document: &'a Document,
    /// The IDL.
    pub schema: &'a Schema,
    /// All lookups; a step's [`LookupId`] is the index here.
    pub lookups: &'a [LookupFacts],
}

/// The plan of `view` for `method`; `None` when there were problems.
pub fn compile(view: &ViewEntry, method: &Method, scope: Scope<'_>) -> Option<Plan> {
    let before = scope.document.problems.len();
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
    let drafts: Vec<Draft> = view
        .uses
        .iter()
        .map(|entry| compiler.draft(entry))
        .collect();
    let order = compiler.order(&drafts);
    let targets = compiler.targets();
    let throws = compiler.throws();
    if scope.document.problems.len() > before {
        return None;
    }
    Some(compiler.assemble(drafts, order?, targets, throws))
}

fn reply_shape(schema: &Schema, method: &Method) -> ReplyShape {
    match &method.result {
        None => ReplyShape::Void,
        Some(Type::Struct(id)) if schema.get(*id).kind == crate::idl::Kind::Struct => {
            ReplyShape::Struct(*id)
        }
        Some(ty) => ReplyShape::Whole(ty.clone()),
    }
}

/// A use whose names are resolved; references to lookups are still by declared order.
struct Draft {
    lookup: Option<usize>,
    bindings: Vec<Binding>,
    when: Option<Condition>,
    foreach: Option<Foreach>,
    /// The uses it refers to.
    needs: Vec<usize>,
}

struct Compiler<'a> {
    scope: Scope<'a>,
    view: &'a ViewEntry,
    method: &'a Method,
    params: &'a StructType,
    uses: &'a [Arc<str>],
    reply: ReplyShape,
}

impl Compiler<'_> {
    fn problem(&self, place: &Place, code: Code, message: String, help: Option<String>) {
        self.scope.document.problem(place, code, message, help);
    }

    fn draft(&self, entry: &UseEntry) -> Draft {
        let mut needs = Vec::new();
        let when = entry.when.as_ref().and_then(|when| {
            let (reference, ty) = self.resolve(&when.reference, &when.place, false, &mut needs)?;
            if let (Some(equals), Some(ty)) = (&when.equals, &ty)
                && let Err(why) = Conform::new(self.scope.schema, false).value(equals.clone(), ty)
            {
                self.problem(
                    &when.place,
                    Code::ConfigType,
                    format!("`equals` can never hold: {why}"),
                    None,
                );
            }
            Some(Condition {
                reference,
                equals: self.typed_equals(when.equals.clone(), ty.as_ref()),
            })
        });
        let foreach = entry.foreach.as_ref().and_then(|(over, place)| {
            let (reference, ty) = self.resolve(over, place, false, &mut needs)?;
            if let Some(ty) = ty
                && !matches!(ty, Type::List(_) | Type::Set(_))
            {
                let of = self.scope.schema.describe(&ty);
                self.problem(
                    place,
                    Code::ConfigType,
                    format!("`{over}` is {of}, not a list"),
                    None,
                );
            }
            Some(Foreach {
                over: reference,
                max: entry.foreach_max,
            })
        });
        let lookup = self.find_lookup(entry);
        let bindings = lookup
            .map(|at| self.bindings(entry, at, &mut needs))
            .unwrap_or_default();
        needs.sort_unstable();
        needs.dedup();
        Draft {
            lookup,
            bindings,
            when,
            foreach,
            needs,
        }
    }

    /// Enums are compared by number, so a name in `equals` becomes one.
    fn typed_equals(&self, equals: Option<Value>, ty: Option<&Type>) -> Option<Value> {
        let equals = equals?;
        match ty {
            Some(ty) => Conform::new(self.scope.schema, false)
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
            let help = match nearest(wanted, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `[lookups.{wanted}]`, or name another with `use = \"...\"`"),
            };
            self.problem(
                place,
                Code::ConfigUnknownName,
                format!("there is no lookup `{wanted}`"),
                Some(help),
            );
        }
        found
    }

    fn bindings(&self, entry: &UseEntry, lookup: usize, needs: &mut Vec<usize>) -> Vec<Binding> {
        let facts = &self.scope.lookups[lookup];
        let Some(params) = &facts.params else {
            return Vec::new();
        };
        for (name, _, place) in &entry.with {
            if !params.iter().any(|param| **param == **name) {
                let help = match nearest(name, params.iter().map(|param| &**param)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if params.is_empty() => "it has none".into(),
                    None => format!("it has {}", list(params.iter().map(|param| &**param))),
                };
                self.problem(
                    place,
                    Code::ConfigUnknownName,
                    format!("lookup `{}` has no parameter `{name}`", facts.name),
                    Some(help),
                );
            }
        }
        params
            .iter()
            .filter_map(|param| self.binding(entry, param, needs))
            .collect()
    }

    fn binding(&self, entry: &UseEntry, param: &str, needs: &mut Vec<usize>) -> Option<Binding> {
        let given = entry.with.iter().find(|(name, ..)| name == param);
        match given {
            Some((_, WithEntry::Literal(value), _)) => Some(Binding::Literal(value.clone())),
            Some((_, WithEntry::Reference(text), place)) => {
                let foreach = entry.foreach.is_some();
                Some(Binding::To(self.resolve(text, place, foreach, needs)?.0))
            }
            None => match self.params.field(param) {
                Some((at, _)) => Some(Binding::To(Reference {
                    root: Root::Param(at),
                    path: Vec::new(),
                })),
                None => {
                    let params = list(self.params.names.iter().map(|name| &**name));
                    self.problem(
                        &entry.place,
                        Code::ConfigReference,
                        format!("parameter `{param}` of lookup `{}` is bound to nothing", entry.lookup.0),
                        Some(format!(
                            "add `with = {{ {param} = \"...\" }}`; the method's parameters are {params}"
                        )),
                    );
                    None
                }
            },
        }
    }

    fn resolve(
        &self,
        text: &str,
        place: &Place,
        foreach: bool,
        needs: &mut Vec<usize>,
    ) -> Option<(Reference, Option<Type>)> {
        let names = Names {
            schema: self.scope.schema,
            params: self.params,
            uses: self.uses,
            foreach,
        };
        match names.resolve(text) {
            Ok((reference, ty)) => {
                if let Root::Lookup(at) = reference.root {
                    needs.push(at);
                }
                Some((reference, ty))
            }
            Err(Unresolved {
                message,
                known,
                wanted,
            }) => {
                let help = match nearest(&wanted, known.iter().map(String::as_str)) {
                    Some(near) => Some(format!("did you mean `{near}`?")),
                    None if known.is_empty() => None,
                    None => Some(format!(
                        "there are {}",
                        list(known.iter().map(String::as_str))
                    )),
                };
                self.problem(place, Code::ConfigReference, message, help);
                None
            }
        }
    }

    /// The uses in an order in which each stands after those it needs; among equals, declared order.
    fn order(&self, drafts: &[Draft]) -> Option<Vec<usize>> {
        let mut order: Vec<usize> = Vec::with_capacity(drafts.len());
        while order.len() < drafts.len() {
            let next = (0..drafts.len()).find(|at| {
                !order.contains(at) && drafts[*at].needs.iter().all(|need| order.contains(need))
            });
            if let Some(next) = next {
                order.push(next);
                continue;
            }
            let cycle = cycle(drafts, &order);
            let names: Vec<&str> = cycle.iter().map(|&at| &*self.uses[at]).collect();
            self.problem(
                &self.view.uses[cycle[0]].place,
                Code::ConfigCycle,
                format!("lookups wait for each other: {}", names.join(" -> ")),
                Some("let one of them take its input from a parameter of the method".into()),
            );
            return None;
        }
        Some(order)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<Target> = self
            .view
            .uses
            .iter()
            .map(|entry| self.target(entry))
            .collect();
        match &self.reply {
            ReplyShape::Struct(id) => self.settle_fields(*id, &mut targets),
            ReplyShape::Whole(_) => {
                let emitted = self.view.uses.iter().filter(|entry| entry.emit).count();
                if emitted != 1 {
                    self.problem(
                        &self.view.place,
                        Code::ConfigClash,
                        format!("the method returns one value, and {emitted} lookups give one"),
                        Some("mark all others `emit = false`".into()),
                    );
                }
            }
            ReplyShape::Void => {}
        }
        targets
    }

    fn target(&self, entry: &UseEntry) -> Target {
        if !entry.emit {
            return Target::Nothing;
        }
        let target = match (&self.reply, entry.into.as_ref()) {
            (ReplyShape::Void, None) => Target::Nothing,
            (ReplyShape::Void, Some((_, place))) => {
                self.problem(
                    place,
                    Code::ConfigReference,
                    "the method returns nothing".into(),
                    None,
                );
                Target::Nothing
            }
            (ReplyShape::Whole(ty), None) => Target::Whole(ty.clone()),
            (ReplyShape::Whole(ty), Some((into, place))) => {
                if into != "." {
                    let of = self.scope.schema.describe(ty);
                    let help = Some("use `into = \".\"`, or leave it out".into());
                    let message = format!("the method returns {of}, which has no field `{into}`");
                    self.problem(place, Code::ConfigReference, message, help);
                }
                Target::Whole(ty.clone())
            }
            (ReplyShape::Struct(id), Some((into, _))) if into == "." => Target::Spread {
                of: *id,
                fields: Vec::new(),
            },
            (ReplyShape::Struct(id), into) => self.field_target(*id, entry, into),
        };
        self.check_fit(entry, &target);
        target
    }

    fn field_target(
        &self,
        id: StructId,
        entry: &UseEntry,
        into: Option<&(String, Place)>,
    ) -> Target {
        let (dotted, place) =
            into.map_or((&*entry.name, &entry.place), |(text, place)| (text, place));
        match field_at(self.scope.schema, id, dotted) {
            Ok((path, ty)) => Target::Field { path, ty },
            Err((message, names)) => {
                let near = names
                    .as_ref()
                    .and_then(|(wanted, known)| nearest(wanted, known.iter().map(String::as_str)));
                let help = match (near, &names) {
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    (None, Some((_, known))) => format!(
                        "name one of {} with `into`, or set `emit = false`",
                        list(known.iter().map(String::as_str))
                    ),
                    (None, None) => "name a field with `into`".into(),
                };
                self.problem(place, Code::ConfigUnknownName, message, Some(help));
                Target::Nothing
            }
        }
    }

    fn check_fit(&self, entry: &UseEntry, target: &Target) {
        let (wanted, _) = &entry.lookup;
        let Some(ty) = target.ty() else { return };
        if let (Some((default, place)), None) = (&entry.default, &entry.foreach)
            && let Err(why) = Conform::new(self.scope.schema, false).value(default.clone(), ty)
        {
            self.problem(
                place,
                Code::ConfigType,
                format!("the default does not fit: {why}"),
                None,
            );
        }
        let Some(lookup) = self
            .scope
            .lookups
            .iter()
            .find(|lookup| &*lookup.name == wanted)
        else {
            return;
        };
        if lookup.params.is_none() || (lookup.parse_text && lookup.yields == Yields::Text) {
            return;
        }
        let fits = match (&entry.foreach, element_of(ty)) {
            (Some(_), Some(element)) => can_fit(self.scope.schema, lookup.yields, element),
            (Some(_), None) => {
                let of = self.scope.schema.describe(ty);
                Err(format!("a `foreach` gives a list, which can't fill {of}"))
            }
            (None, _) => can_fit(self.scope.schema, lookup.yields, ty),
        };
        if let Err(why) = fits {
            let help = match lookup.yields {
                Yields::List => Some("use `rows = \"one\"`, or return a list".into()),
                Yields::Record => Some("use `rows = \"many\"` for a list".into()),
                _ => None,
            };
            self.problem(&entry.place, Code::ConfigType, why, help);
        }
    }

    /// Finds clashes, gives the spread lookup the fields that are left, and required fields nobody fills.
    fn settle_fields(&self, id: StructId, targets: &mut [Target]) {
        let mut paths: Vec<(&[usize], usize)> = Vec::new();
        for (at, target) in targets.iter().enumerate() {
            let Target::Field { path, .. } = target else {
                continue;
            };
            if let Some((_, other)) = paths
                .iter()
                .find(|(have, _)| have.starts_with(path) || path.starts_with(have))
            {
                let message = format!(
                    "`{}` and `{}` fill the same field",
                    self.uses[*other], self.uses[at]
                );
                let help = Some("give one of them another `into`, or `emit = false`".into());
                self.problem(&self.view.uses[at].place, Code::ConfigClash, message, help);
            }
            paths.push((path, at));
        }
        let mut filled: Vec<usize> = paths.iter().map(|(path, _)| path[0]).collect();
        filled.extend(self.report_field(id));
        let spreads: Vec<usize> = (0..targets.len())
            .filter(|&at| matches!(targets[at], Target::Spread { .. }))
            .collect();
        if let [_, second, ..] = spreads[..] {
            let message = "two lookups have `into = \".\"`".to_owned();
            let help = Some("name the fields of all but one".into());
            self.problem(
                &self.view.uses[second].place,
                Code::ConfigClash,
                message,
                help,
            );
        }
        if let Some(&first) = spreads.first() {
            let all = 0..self.scope.schema.get(id).fields.len();
            let fields = all.filter(|at| !filled.contains(at)).collect();
            targets[first] = Target::Spread { of: id, fields };
            return;
        }
        for name in unfilled(self.scope.schema, id, &filled) {
            let message = format!("no lookup fills the required field `{name}` of the reply");
            let help = Some(format!("add `{name} = {{ use = \"...\" }}` to its lookups"));
            self.problem(&self.view.place, Code::ConfigMissingKey, message, help);
        }
    }

    fn report_field(&self, id: StructId) -> Option<usize> {
        let report = self.scope.schema.standard.report?;
        let fields = &self.scope.schema.get(id).fields;
        fields
            .iter()
            .position(|field| field.ty == Type::Struct(report))
    }

    fn throws(&self) -> Vec<Throw> {
        for (_, field, place) in &self.view.throws {
            if !self
                .method
                .throws
                .iter()
                .any(|throw| *throw.name == **field)
            {
                let names: Vec<&str> = self
                    .method
                    .throws
                    .iter()
                    .map(|throw| &*throw.name)
                    .collect();
                let message = format!("the method does not throw `{field}`");
                let help = match nearest(field, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "its IDL has no `throws`".into(),
                    None => format!("it throws {}", list(names)),
                };
                self.problem(place, Code::ConfigUnknownName, message, Some(help));
            }
        }
        self.method
            .throws
            .iter()
            .filter_map(|field| self.throw(field))
            .collect()
    }

    fn throw(&self, field: &crate::idl::Field) -> Option<Throw> {
        let Type::Struct(of) = field.ty else {
            return None;
        };
        let codes: Vec<Code> = self
            .view
            .throws
            .iter()
            .filter(|(_, name, _)| **name == *field.name)
            .flat_map(|(code, ..)| codes_of(code))
            .collect();
        let standard = &self.scope.schema.standard;
        let is_standard = [
            standard.invalid_request,
            standard.lookup_failed,
            standard.deadline_exceeded,
            standard.overloaded,
        ]
        .contains(&Some(of));
        let on = match (codes.is_empty(), is_standard) {
            (false, _) => ThrowOn::Codes(codes),
            (true, true) => ThrowOn::Standard,
            (true, false) => ThrowOn::Never,
        };
        Some(Throw {
            id: field.id,
            of,
            on,
        })
    }

    fn assemble(
        self,
        drafts: Vec<Draft>,
        order: Vec<usize>,
        targets: Vec<Target>,
        throws: Vec<Throw>,
    ) -> Plan {
        // Where each use, by declared order, stands in plan order.
        let mut place_of = vec![0; order.len()];
        for (place, &declared) in order.iter().enumerate() {
            place_of[declared] = place;
        }
        let mut referred = vec![false; order.len()];
        for need in drafts.iter().flat_map(|draft| &draft.needs) {
            referred[*need] = true;
        }
        let mut parts: Vec<Option<(Draft, Target)>> =
            drafts.into_iter().zip(targets).map(Some).collect();
        let steps = order
            .iter()
            .filter_map(|&declared| {
                let (draft, target) = parts[declared].take()?;
                let mut step = self.step(&self.view.uses[declared], draft, target, &place_of)?;
                step.referred = referred[declared];
                Some(step)
            })
            .collect();
        let report_field = match self.reply {
            ReplyShape::Struct(id) => self.report_field(id),
            _ => None,
        };
        let context = self.scope.schema.standard.context;
        let context_param = context.and_then(|context| {
            self.params
                .fields
                .iter()
                .position(|field| field.ty == Type::Struct(context))
        });
        Plan {
            method: Arc::clone(&self.method.name),
            oneway: self.method.oneway,
            params: self.method.params,
            context_param,
            deadline: self.view.deadline,
            steps,
            declared: place_of,
            reply: self.reply,
            report_field,
            report_always: self.view.report,
            throws,
        }
    }

    fn step(
        &self,
        entry: &UseEntry,
        draft: Draft,
        target: Target,
        place_of: &[usize],
    ) -> Option<Step> {
        let at = draft.lookup?;
        let facts = &self.scope.lookups[at];
        let moved = |mut reference: Reference| {
            if let Root::Lookup(declared) = reference.root {
                reference.root = Root::Lookup(place_of[declared]);
            }
            reference
        };
        let mut after: Vec<usize> = draft.needs.iter().map(|&need| place_of[need]).collect();
        after.sort_unstable();
        let bindings = draft.bindings.into_iter().map(|binding| match binding {
            Binding::To(reference) => Binding::To(moved(reference)),
            literal @ Binding::Literal(_) => literal,
        });
        Some(Step {
            name: Arc::clone(&entry.name),
            backend: Arc::clone(&facts.backend),
            lookup: LookupId(at),
            bindings: bindings.collect(),
            after: after.into(),
            referred: false,
            required: entry.required,
            default: entry.default.as_ref().map(|(value, _)| value.clone()),
            default_on_empty: entry.default_on_empty,
            when: draft.when.map(|when| Condition {
                reference: moved(when.reference),
                ..when
            }),
            foreach: draft.foreach.map(|each| Foreach {
                over: moved(each.over),
                ..each
            }),
            timeout: entry.timeout.or(facts.timeout),
            parse_text: facts.parse_text,
            target,
        })
    }
}

/// The codes that `lookup.timeout` or `lookup.*` means.
fn codes_of(pattern: &str) -> Vec<Code> {
    let area = pattern.strip_suffix('*');
    let means = |code: &&Code| match area {
        Some(area) => code.as_str().starts_with(area),
        None => code.as_str() == pattern,
    };
    Code::ALL.iter().filter(means).copied().collect()
}

/// One cycle among the uses that are not in `ordered`, each once.
fn cycle(drafts: &[Draft], ordered: &[usize]) -> Vec<usize> {
    let stuck = |at: &usize| !ordered.contains(at);
    let mut path: Vec<usize> = (0..drafts.len()).find(stuck).into_iter().collect();
    loop {
        let Some(&last) = path.last() else {
            return path;
        };
        // Every stuck use needs another stuck one, so the walk comes back to itself.
        let Some(next) = drafts[last].needs.iter().copied().find(stuck) else {
            return path;
        };
        if let Some(start) = path.iter().position(|&at| at == next) {
            path.drain(..start);
            path.push(next);
            return path;
        }
        path.push(next);
    }
}
