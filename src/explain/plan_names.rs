//! Turns the indices of a plan back into the names of the configuration and the IDL.

use std::time::Duration;

use super::chain::Chains;
use super::explanation::LookupExplanation;
use crate::backend::{Hedge, Invalidate};
use crate::config::GuardMode;
use crate::error::Code;
use crate::idl::{StructId, Type};
use crate::plan::{Binding, ContextField, Plan, Reference, ReplyShape, Root, Step, Target};
use crate::program::{Asks, BackendDef, Coalesce, LookupDef, Program, Sharing};
use crate::value::Value;

/// A plan, and the program that its indices refer to.
#[derive(Clone, Copy)]
pub(super) struct PlanNames<'a> {
    pub(super) program: &'a Program,
    pub(super) plan: &'a Plan,
}

impl PlanNames<'_> {
    /// `getAirport(code, context) returns flights.Airport`
    pub(super) fn signature(&self) -> String {
        let schema = self.program.schema(self.plan);
        let names = &schema.get(self.plan.params).names;
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let returns = match &self.plan.reply {
            ReplyShape::Void if self.plan.oneway => "is oneway".to_owned(),
            ReplyShape::Void => "returns nothing".to_owned(),
            ReplyShape::Struct(id) => format!("returns {}", schema.get(*id).name),
            ReplyShape::Whole(ty) => format!("returns {}", schema.describe(ty)),
        };
        format!("{}({}) {returns}", self.plan.label, names.join(", "))
    }

    /// Everything about one step.
    pub(super) fn lookup_of(&self, step: &Step) -> LookupExplanation {
        LookupExplanation {
            name: step.name.to_string(),
            backend: step.backend.to_string(),
            kind: self.kind(step).into(),
            lookup: self.lookup(step).name.to_string(),
            after: self.names(&step.after),
            facts: self.facts(step),
            batching: self.batching(step),
            bindings: self.bindings(step),
            fills: self.target(step),
        }
    }

    /// The kind of store that a step asks.
    fn kind(&self, step: &Step) -> &'static str {
        let backend = self.backend(step);
        backend.map_or("closure", |backend| backend.config.kind())
    }

    /// When it runs, and what happens if it fails.
    fn facts(&self, step: &Step) -> Vec<String> {
        let mut facts = Vec::new();
        if let Some(when) = &step.when {
            let reference = self.reference(&when.reference);
            facts.push(match &when.equals {
                Some(value) => format!("when {reference} is {}", literal(value)),
                None => format!("when {reference}"),
            });
        }
        if let Some(foreach) = &step.foreach {
            let over = self.reference(&foreach.over);
            facts.push(format!("for each of {over}, at most {}", foreach.max));
        }
        if step.required {
            facts.push("required".into());
        }
        facts.extend(self.fallbacks(step));
        if let Some(default) = &step.default {
            let when = if step.default_on_empty {
                " when empty"
            } else {
                ""
            };
            facts.push(format!("default {}{when}", literal(default)));
        }
        facts.extend(
            step.timeout
                .map(|timeout| format!("timeout {}", time(timeout))),
        );
        let wait_max = self.program.wait_max(self.lookup(step));
        facts.extend(wait_max.map(|wait| format!("waits {} for its turn", time(wait))));
        facts.extend(sharing(&self.lookup(step).sharing));
        let balancing = self
            .backend(step)
            .and_then(|backend| backend.config.balancing());
        facts.extend(balancing);
        if let Asks::Store(_, lookup) = &self.lookup(step).asks {
            facts.extend(lookup.hedge().map(Hedge::describe));
        }
        if let Some(backend) = self.backend(step)
            && backend.breaker.mode != GuardMode::Off
        {
            let breaker = &backend.breaker;
            let (mode, opens) = (breaker.mode.as_str(), breaker.describe());
            facts.push(format!("breaker ({mode}) {opens}"));
        }
        let inject = &self.lookup(step).inject;
        if let Some(delay) = inject.delay {
            let share = if inject.delay_rate < 1.0 {
                format!(" at a rate of {}", inject.delay_rate)
            } else {
                String::new()
            };
            facts.push(format!("injected delay {}{share}", time(delay)));
        }
        if inject.hang_rate > 0.0 {
            facts.push(format!("injected hang rate {}", inject.hang_rate));
        }
        if inject.error_rate > 0.0 {
            let error = match inject.error {
                Code::LookupInjected => String::new(),
                code => format!(" of {code}"),
            };
            facts.push(format!("injected error rate {}{error}", inject.error_rate));
        }
        facts
    }

    /// What is asked instead of a step that fails: `else replica (redis replica, timeout 20ms), then crm (postgres main)`.
    fn fallbacks(&self, step: &Step) -> Option<String> {
        let fallbacks = step.attempts().skip(1).map(|of| {
            let timeout = of
                .timeout
                .map(|timeout| format!(", timeout {}", time(timeout)));
            let (kind, timeout) = (self.kind(of), timeout.unwrap_or_default());
            format!("{} ({kind} {}{timeout})", of.name, of.backend)
        });
        let fallbacks: Vec<String> = fallbacks.collect();
        (!fallbacks.is_empty()).then(|| format!("else {}", fallbacks.join(", then ")))
    }

    /// How it is batched with other lookups, if it can be.
    fn batching(&self, step: &Step) -> Option<String> {
        let Asks::Store(_, lookup) = &self.lookup(step).asks else {
            return None;
        };
        match (lookup.batching(), &step.foreach) {
            (Some(how), None) => Some(format!("batched: {how}")),
            (Some(how), Some(_)) => Some(format!("batched, all elements together: {how}")),
            (None, Some(_)) => Some("not batched: each element is a separate question".into()),
            (None, None) => None,
        }
    }

    /// Each parameter of a step's lookup and what it is bound to.
    fn bindings(&self, step: &Step) -> Vec<(String, String)> {
        let names = self.lookup(step).params.iter();
        let bound = names.zip(&step.bindings).map(|(name, binding)| {
            let to = match binding {
                Binding::To(reference) | Binding::Named(reference, _) => self.reference(reference),
                Binding::Literal(value) => literal(value),
            };
            (name.to_string(), to)
        });
        bound.collect()
    }

    /// Where a step's value goes.
    fn target(&self, step: &Step) -> String {
        let schema = self.program.schema(self.plan);
        match &step.target {
            Target::Nothing => "not in the reply".into(),
            Target::Field { path, .. } => match &self.plan.reply {
                ReplyShape::Struct(id) => self.path(*id, path),
                ReplyShape::Void | ReplyShape::Whole(_) => "the reply".into(),
            },
            Target::Spread { of, fields } => {
                let of = schema.get(*of);
                let names: Vec<&str> = fields.iter().map(|&at| &*of.fields[at].name).collect();
                format!(
                    "the reply's own fields, where it has them: {}",
                    names.join(", ")
                )
            }
            Target::Whole(_) => "the whole reply".into(),
        }
    }

    /// `flight -> plane`
    pub(super) fn chain(&self, steps: &[usize]) -> String {
        self.names(steps).join(" -> ")
    }

    /// The names of steps.
    pub(super) fn names(&self, steps: &[usize]) -> Vec<String> {
        steps.iter().map(|&at| self.name(at).to_owned()).collect()
    }

    /// The longest that a call can take, and why.
    pub(super) fn worst(&self, chains: &Chains<'_>) -> String {
        let deadline = self.plan.deadline;
        if self.plan.steps.is_empty() {
            return "there is nothing to wait for".into();
        }
        let open = chains.without_timeout();
        if !open.is_empty() {
            let what = if open.len() == self.plan.steps.len() {
                "no lookup has a timeout, and each can take all of it".to_owned()
            } else {
                let names: Vec<&str> = open.iter().map(|&at| self.name(at)).collect();
                let verb = if names.len() == 1 { "has" } else { "have" };
                format!(
                    "{} {verb} no timeout and can take what is left of it",
                    names.join(", ")
                )
            };
            return format!("{}, the deadline: {what}", time(deadline));
        }
        let (slowest, sum) = chains.slowest();
        let terms: Vec<String> = slowest
            .iter()
            .map(|&at| {
                let attempts = self.plan.steps[at].attempts();
                let attempts = attempts
                    .map(|of| format!("{} {}", of.name, time(of.timeout.unwrap_or(deadline))));
                attempts.collect::<Vec<_>>().join(" + ")
            })
            .collect();
        let terms = terms.join(" -> ");
        if sum > deadline {
            format!(
                "{}, the deadline; {terms} would take longer",
                time(deadline)
            )
        } else {
            format!(
                "{} of the deadline's {}: {terms}",
                time(sum),
                time(deadline)
            )
        }
    }

    /// The store that a step asks; `None` for a closure.
    pub(super) fn backend(&self, step: &Step) -> Option<&BackendDef> {
        match self.lookup(step).asks {
            Asks::Store(at, _) => Some(&self.program.backends[at]),
            Asks::Closure(_) => None,
        }
    }

    fn lookup(&self, step: &Step) -> &LookupDef {
        &self.program.lookups[step.lookup.0]
    }

    fn name(&self, at: usize) -> &str {
        &self.plan.steps[at].name
    }

    fn reference(&self, reference: &Reference) -> String {
        let mut words = vec![match reference.root {
            Root::Param(at) => {
                &*self.program.schema(self.plan).get(self.plan.params).fields[at].name
            }
            Root::Lookup(at) => self.name(at),
            Root::Item => "item",
            Root::Context(ContextField::RequestId) => "context.request_id",
            Root::Context(ContextField::Traceparent) => "context.traceparent",
            Root::Context(ContextField::Baggage) => "context.baggage",
        }];
        words.extend(reference.path.iter().map(|segment| &**segment));
        words.join(".")
    }

    fn path(&self, mut id: StructId, path: &[usize]) -> String {
        let mut names = Vec::new();
        for &at in path {
            let field = &self.program.schema(self.plan).get(id).fields[at];
            names.push(&*field.name);
            match &field.ty {
                Type::Struct(inner) => id = *inner,
                _ => break,
            }
        }
        names.join(".")
    }
}

/// What calls share of a lookup: `cached for 30s, then stale for 1m`.
fn sharing(sharing: &Sharing) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(cache) = &sharing.cache {
        let mut times = vec![time(cache.ttl).to_string()];
        let later = [
            (cache.stale, "then stale for"),
            (cache.stale_if_error, "then for an outage of"),
            (cache.negative_ttl, "if there is nothing for"),
        ];
        let later = later.iter().filter(|(length, _)| !length.is_zero());
        times.extend(later.map(|(length, words)| format!("{words} {}", time(*length))));
        let acts = match cache.mode {
            GuardMode::Measure => "would be cached for",
            GuardMode::Off | GuardMode::Enforce => "cached for",
        };
        facts.push(format!("{acts} {}", times.join(", ")));
        facts.extend(cache.invalidate.as_ref().map(|how| match how {
            Invalidate::Keys => "until its key changes".to_owned(),
            Invalidate::Channel { name, .. } => format!("until `{name}` says that it has changed"),
        }));
    }
    facts.extend(match (sharing.coalesce, sharing.answers()) {
        (Coalesce::No, _) | (Coalesce::UnderWay, true) => None,
        (Coalesce::UnderWay, false) => Some("joins an equal one under way".to_owned()),
        (Coalesce::Unsent, _) => Some("joins an equal one that was not sent yet".to_owned()),
    });
    facts
}

/// `1m 30s`, `800ms`
pub(super) fn time(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(time)
}

/// A value much as it is written in the configuration.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(bit) => bit.to_string(),
        Value::I64(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        Value::Text(text) => format!("{:?}", text.as_str()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(pairs) if pairs.is_empty() => "{}".into(),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| {
                let key = key.as_str().unwrap_or_default();
                format!("{key} = {}", literal(value))
            });
            let pairs: Vec<String> = pairs.collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.kind().into(),
    }
}
