//! Defines a [`Plan`]: a view with every name resolved to an index, and its lookups in an order in which they can start.
//!
//! Plain data, made once at start and shared by all loops. A call never looks up a name in it.

use std::sync::Arc;
use std::time::Duration;

use super::placing::{Fills, Placing};
use super::reference::Reference;
use crate::config::Allow;
use crate::error::Code;

use crate::idl::{StructId, Type};
use crate::timeline::{FallbackLane, Lane};
use crate::value::Value;

/// Index of a lookup in [`CompileEnv::lookups`](super::CompileEnv::lookups), and in the program's lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LookupId(pub usize);

/// One method's view.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its index among the program's plans.
    pub index: usize,
    /// The method's name.
    pub method: Arc<str>,
    /// Its service, as an index into those of the program.
    pub service: usize,
    /// The method in logs, metrics and explanations: its name, after that of its service if the program has several.
    pub label: Arc<str>,
    /// The view's key in the configuration: `views.getAirport`.
    pub key: Arc<str>,
    /// The method is oneway: no reply is sent.
    pub oneway: bool,
    /// The struct of its parameters.
    pub params: StructId,
    /// The index of the `tributary.Context` among the parameters, if the method has one.
    pub context_param: Option<usize>,
    /// How long a call may take. A caller can only shorten it.
    pub deadline: Duration,
    /// Its lookups. Each comes after those that it needs.
    pub steps: Vec<Step>,
    /// Whether any step refers to the value of another.
    pub referred: bool,
    /// The steps under the names that timelines show.
    pub lanes: Arc<[Lane]>,
    /// The indices of the steps in the order of the configuration, which is the order of merging.
    pub declared: Vec<usize>,
    /// What the reply is.
    pub reply: ReplyShape,
    /// How the values of the steps become the fields of the reply, if they only change places.
    pub placing: Option<Placing>,
    /// The index of the `tributary.Report` among the fields of the reply, if it has one.
    pub report_field: Option<usize>,
    /// The report is filled even if the caller did not ask for it.
    pub report_always: bool,
    /// When optional lookups are left out.
    pub brownout: Option<Brownout>,
    /// Who may call the method; everyone if `None`.
    pub allow: Option<Arc<Allow>>,
    /// The exceptions that the method declares, and for which failures each is thrown.
    pub throws: Vec<Throw>,
}

/// What the method returns.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyShape {
    /// `void`
    Void,
    /// A struct, which lookups fill field by field.
    Struct(StructId),
    /// Anything else: the value of the one emitted lookup.
    Whole(Type),
}

/// One lookup of a view.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the configuration"
)]
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name in the view.
    pub name: Arc<str>,
    /// The backend's name, for reports.
    pub backend: Arc<str>,
    /// The lookup that it asks.
    pub lookup: LookupId,
    /// What each parameter of the lookup is bound to, in the lookup's order.
    pub bindings: Vec<Binding>,
    /// The parameter of the method that is all its input, if it has no condition and is asked once: the most common case.
    pub only_param: Option<usize>,
    /// The indices of the steps that it needs, all smaller than its own.
    pub after: Arc<[usize]>,
    /// Whether a later step refers to its value.
    pub referred: bool,
    /// The call fails if this step has no value.
    pub required: bool,
    /// The quality of the view below which it is left out: see [`Brownout`]. 0: never.
    pub drop_below: f64,
    /// Used instead of a missing answer, in the form in which the lookup would have answered.
    pub default: Option<Value>,
    /// The default is used only for `empty`.
    pub default_on_empty: bool,
    /// What is asked instead if it fails, before the default is used. It has the target of this step.
    pub fallback: Option<Box<Step>>,
    /// The condition under which it runs.
    pub when: Option<Condition>,
    /// It runs once per element.
    pub foreach: Option<Foreach>,
    /// How long it may take. The deadline of the call holds in any case.
    pub timeout: Option<Duration>,
    /// How long it may take at most, whatever the caller does: its timeout or the deadline of the view.
    pub allowed: Allowed,
    /// Text may fill numbers and bools.
    pub parse_text: bool,
    /// Where its value goes.
    pub target: Target,
}

/// When a view leaves optional lookups out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brownout {
    /// A call should not take longer.
    pub target: Duration,
    /// How much a call within the target raises the quality of the view, which is between 0 and 1.
    pub raise: f64,
    /// How much a longer one lowers it: as many times as much as there should be calls within the target for each beyond it.
    pub lower: f64,
    /// Lookups are really left out.
    pub enforced: bool,
}

/// What a lookup's parameter is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// A reference.
    To(Reference),
    /// A reference to a value of a type in which there are enums, whose values the store gets with their names.
    Named(Reference, Type),
    /// A value from the configuration.
    Literal(Value),
}

impl Binding {
    /// What it refers to; `None` for a literal.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Binding::To(reference) | Binding::Named(reference, _) => Some(reference),
            Binding::Literal(_) => None,
        }
    }
}

/// `when`
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The value to test.
    pub reference: Reference,
    /// What it must equal. If `None`, the value must be present and not false.
    pub equals: Option<Value>,
}

/// The time that a view allows for an answer, in few bytes: each question carries it. More than an hour is an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed(u32);

impl From<Duration> for Allowed {
    fn from(time: Duration) -> Self {
        Allowed(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
    }
}

impl From<Allowed> for Duration {
    fn from(allowed: Allowed) -> Self {
        Duration::from_micros(allowed.0.into())
    }
}

/// `foreach`
#[derive(Clone, Debug, PartialEq)]
pub struct Foreach {
    /// The list.
    pub over: Reference,
    /// The most elements; more end in `lookup.too_many`.
    pub max: usize,
}

/// Where a lookup's value goes in the reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Nowhere: `emit = false`.
    Nothing,
    /// A field of the reply, or of a struct in it: field indices from the outside in.
    Field {
        /// Never empty.
        path: Vec<usize>,
        /// The field's type.
        ty: Type,
        /// Whether the field is `required` in the IDL.
        is_required: bool,
    },
    /// Its columns become the fields of the reply at `fields`, by name.
    Spread {
        /// The reply's struct.
        of: StructId,
        /// The fields that no other lookup fills.
        fields: Vec<usize>,
    },
    /// The whole reply.
    Whole(Type),
}

impl Target {
    /// The type that a value must fit; `None` if it goes nowhere or is spread.
    pub fn ty(&self) -> Option<&Type> {
        match self {
            Target::Field { ty, .. } | Target::Whole(ty) => Some(ty),
            Target::Nothing | Target::Spread { .. } => None,
        }
    }

    /// What a value fills, as far as that is a field of the reply itself.
    pub(super) fn fills(&self) -> Fills {
        match self {
            Target::Field { path, .. } => match path[..] {
                [field] => Fills::Field(field),
                _ => Fills::Other,
            },
            Target::Nothing => Fills::Nothing,
            Target::Spread { .. } | Target::Whole(_) => Fills::Other,
        }
    }
}

/// An exception of the method.
#[derive(Clone, Debug)]
pub struct Throw {
    /// Its field id in the result.
    pub id: i16,
    /// Its type.
    pub of: StructId,
    /// For which failures it is thrown.
    pub on: ThrowOn,
}

/// For which failures an exception is thrown.
#[derive(Clone, Debug, PartialEq)]
pub enum ThrowOn {
    /// A standard exception: for the failures that its name says.
    Standard,
    /// Bound in the configuration to these codes.
    Codes(Vec<Code>),
    /// For none.
    Never,
}

impl Step {
    /// The step and what is asked instead of it, in this order.
    pub fn attempts(&self) -> impl Iterator<Item = &Step> {
        std::iter::successors(Some(self), |step| step.fallback.as_deref())
    }

    /// The step as timelines name it.
    pub(super) fn lane(&self) -> Lane {
        let fallbacks = self.attempts().skip(1).map(|fallback| FallbackLane {
            name: Arc::clone(&fallback.name),
            backend: Arc::clone(&fallback.backend),
        });
        Lane {
            name: Arc::clone(&self.name),
            backend: Arc::clone(&self.backend),
            after: self.after.to_vec(),
            fallbacks: fallbacks.collect(),
        }
    }
}

impl Plan {
    /// The steps in stages: those of one stage can start together.
    pub fn stages(&self) -> Vec<Vec<usize>> {
        let mut stage_of = vec![0; self.steps.len()];
        let mut stages: Vec<Vec<usize>> = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let stage = step
                .after
                .iter()
                .map(|&need| stage_of[need] + 1)
                .max()
                .unwrap_or(0);
            stage_of[at] = stage;
            if stages.len() <= stage {
                stages.push(Vec::new());
            }
            stages[stage].push(at);
        }
        stages
    }
}
