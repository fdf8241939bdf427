//! A view as it is run: every name resolved to a place, lookups in an order that respects their needs.
//!
//! Plain data, made once at start and shared by all loops; a call looks nothing up by name in it.

use std::sync::Arc;
use std::time::Duration;

use super::reference::Reference;
use crate::config::Allow;
use crate::error::Code;

use crate::idl::{StructId, Type};
use crate::timeline::Lane;
use crate::value::Value;

/// Index of a lookup in [`Scope::lookups`](super::Scope::lookups), and in the program's lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LookupId(pub usize);

/// One method's view.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its place among the program's plans.
    pub index: usize,
    /// The method.
    pub method: Arc<str>,
    /// No reply is sent.
    pub oneway: bool,
    /// The struct of its parameters.
    pub params: StructId,
    /// Where among the parameters the `tributary.Context` stands, if the method has one.
    pub context_param: Option<usize>,
    /// How long a call may take; a caller's budget can only shorten it.
    pub deadline: Duration,
    /// Its lookups; each stands after those it needs.
    pub steps: Vec<Step>,
    /// Whether any step refers to another's value.
    pub referred: bool,
    /// The steps as timelines name them.
    pub lanes: Arc<[Lane]>,
    /// The steps' places in the order in which the configuration declares them: the order of merging.
    pub declared: Vec<usize>,
    /// What the reply is.
    pub reply: ReplyShape,
    /// Where in the reply struct the `tributary.Report` stands, if it has one.
    pub report_field: Option<usize>,
    /// The report is filled even when the caller did not ask.
    pub report_always: bool,
    /// Who may call it; everybody if `None`.
    pub allow: Option<Arc<Allow>>,
    /// The exceptions that the method throws and what they are thrown for.
    pub throws: Vec<Throw>,
}

/// What a reply is made into.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyShape {
    /// `void`
    Void,
    /// A struct that lookups fill field by field.
    Struct(StructId),
    /// Anything else: the one emitted lookup's value.
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
    /// What is asked.
    pub lookup: LookupId,
    /// What each parameter of the lookup is bound to, in the lookup's order.
    pub bindings: Vec<Binding>,
    /// The steps it needs, by place; all smaller than its own.
    pub after: Arc<[usize]>,
    /// Whether a later step refers to its value.
    pub referred: bool,
    /// The call fails without it.
    pub required: bool,
    /// Stands in: as the lookup would have answered, for steps that refer to it.
    pub default: Option<Value>,
    /// The default is for `empty` only.
    pub default_on_empty: bool,
    /// Whether it runs at all.
    pub when: Option<Condition>,
    /// One lookup per element.
    pub foreach: Option<Foreach>,
    /// How long it may take; the call's deadline holds in any case.
    pub timeout: Option<Duration>,
    /// Text may fill numbers and bools.
    pub parse_text: bool,
    /// Where its value goes.
    pub target: Target,
}

/// What a lookup's parameter is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// A reference.
    To(Reference),
    /// A value from the configuration.
    Literal(Value),
}

/// `when`
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is looked at.
    pub reference: Reference,
    /// What it must equal; without it: present and not false.
    pub equals: Option<Value>,
}

/// `foreach`
#[derive(Clone, Debug, PartialEq)]
pub struct Foreach {
    /// The list.
    pub over: Reference,
    /// Elements at most; more end in `lookup.too_many`.
    pub max: usize,
}

/// Where a lookup's value goes in the reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Nowhere: `emit = false`.
    Nothing,
    /// A field of the reply, or of a struct in it; places of fields from the outside in.
    Field {
        /// Never empty.
        path: Vec<usize>,
        /// The field's type.
        ty: Type,
    },
    /// Its columns become fields of the reply: those at `fields`, by their names.
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
    /// The type that a value has to fit; `None` when it goes nowhere or is taken apart.
    pub fn ty(&self) -> Option<&Type> {
        match self {
            Target::Field { ty, .. } | Target::Whole(ty) => Some(ty),
            Target::Nothing | Target::Spread { .. } => None,
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
    /// What it is thrown for.
    pub on: ThrowOn,
}

/// What an exception is thrown for.
#[derive(Clone, Debug, PartialEq)]
pub enum ThrowOn {
    /// A standard exception: for what its name says.
    Standard,
    /// Bound in the configuration: for these codes.
    Codes(Vec<Code>),
    /// Declared in the IDL but never thrown.
    Never,
}

impl Step {
    /// The step as timelines name it.
    pub(super) fn lane(&self) -> Lane {
        Lane {
            name: Arc::clone(&self.name),
            backend: Arc::clone(&self.backend),
            after: self.after.to_vec(),
        }
    }
}

impl Plan {
    /// Stages: the steps that may start together, in the order in which their inputs can be known.
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
