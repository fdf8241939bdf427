//! Explains why a call fails: which required lookup has no value, and what caused that.
//!
//! A lookup that lacks an input did not fail by itself: the cause is one of the lookups that it takes its inputs from, or
//! a parameter of the call. This is determined only when a call fails.

use crate::backend::{LookupError, Thrown};
use crate::error::Code;
use crate::idl::Schema;
use crate::plan::{Binding, Plan, Step};
use crate::plan::{Reference, Root};
use crate::timeline::{Fate, Track};
use crate::value::Value;

/// The required step that has no value.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Its index in the plan.
    pub step: usize,
    /// Its fate.
    pub fate: Fate,
    /// The step that caused it: the same one, or one that it takes an input from.
    pub root: usize,
    /// The fate of that step.
    pub root_fate: Fate,
    /// The code of the cause; `None` if nothing failed and the store has no value.
    pub code: Option<Code>,
    /// The deadline of the call ended it, not the lookup's timeout.
    pub out_of_time: bool,
    /// The parameter that the cause takes and the caller did not send, if that may be the reason.
    pub unsent: Option<String>,
    /// The parameters are wrong: the same call can't succeed, whatever the stores do.
    pub of_caller: bool,
    /// Details for the log.
    pub detail: Option<String>,
    /// The exception, if a closure threw one.
    pub thrown: Option<Box<Thrown>>,
}

impl Failure {
    /// The failure of the required step at `at`, which has just got its fate.
    pub(super) fn of(
        (plan, schema): (&Plan, &Schema),
        tracks: &[Track],
        params: &[Value],
        at: usize,
    ) -> Self {
        let root = root(plan, tracks, at);
        let (step, track) = (&plan.steps[root], &tracks[root]);
        let unsent = step
            .unsent(track, params)
            .map(|reference| written(reference, plan, schema));
        let of_caller = match track.code {
            // The list of a `foreach` is too long; no question was asked.
            Some(Code::LookupTooMany) => track.started.is_none() && step.is_over_param(),
            Some(Code::LookupBadParam) => step.is_of_params(),
            None => unsent.is_some() && track.fate == Fate::SkippedDependency,
            Some(_) => false,
        };
        Failure {
            step: at,
            fate: tracks[at].fate,
            root,
            root_fate: track.fate,
            code: track.code,
            out_of_time: track.code == Some(Code::CallDeadline),
            unsent,
            of_caller,
            detail: None,
            thrown: None,
        }
    }

    /// Adds the details of `err`, if the step at `at` is the one that failed. `first` is why something else was asked instead.
    pub(super) fn hear(&mut self, at: usize, err: &LookupError, first: Option<Code>) {
        if self.step == at {
            self.detail = Some(match first {
                Some(first) => format!("{}; before `else`: {first}", err.detail),
                None => err.detail.clone(),
            });
            self.thrown.clone_from(&err.thrown);
        }
    }
}

/// The step that left `at` without a value: follows missing inputs from step to step.
fn root(plan: &Plan, tracks: &[Track], at: usize) -> usize {
    let mut root = at;
    // Steps come after the steps they need, so this ends.
    while tracks[root].fate == Fate::SkippedDependency {
        let needs = plan.steps[root].references();
        let mut needs = needs.filter_map(|reference| match reference.root {
            Root::Lookup(need) => Some(need),
            _ => None,
        });
        match needs.find(|&need| !tracks[need].fate.has_value()) {
            Some(need) => root = need,
            None => break,
        }
    }
    root
}

impl Step {
    /// What the step refers to: the list of its `foreach`, and its inputs.
    fn references(&self) -> impl Iterator<Item = &Reference> {
        let over = self.foreach.iter().map(|foreach| &foreach.over);
        over.chain(self.bindings.iter().filter_map(Binding::reference))
    }

    /// The first parameter that was not sent, if that is why the step has no value: it can't be asked without it, or it
    /// takes nothing else.
    fn unsent(&self, track: &Track, params: &[Value]) -> Option<&Reference> {
        let is_why = match (track.fate, track.code) {
            (Fate::SkippedDependency, _) | (_, Some(Code::LookupBadParam)) => true,
            (Fate::Empty, _) => self
                .references()
                .all(|reference| is_unsent(reference, params)),
            _ => false,
        };
        self.references()
            .find(|reference| is_why && is_unsent(reference, params))
    }

    fn is_over_param(&self) -> bool {
        let foreach = self.foreach.as_ref();
        foreach.is_some_and(|foreach| matches!(foreach.over.root, Root::Param(_)))
    }

    /// Whether all its inputs come from the caller.
    fn is_of_params(&self) -> bool {
        self.references()
            .all(|reference| !matches!(reference.root, Root::Lookup(_)))
    }
}

fn is_unsent(reference: &Reference, params: &[Value]) -> bool {
    let Root::Param(at) = reference.root else {
        return false;
    };
    let path = &mut reference.path.iter();
    let end = path.try_fold(&params[at], |value, name| value.get(name));
    end.is_none_or(Value::is_null)
}

/// A parameter as it is written in the configuration.
fn written(reference: &Reference, plan: &Plan, schema: &Schema) -> String {
    let names = &schema.get(plan.params).names;
    let name = match reference.root {
        Root::Param(at) => names.get(at).map(|name| &**name),
        _ => None,
    };
    let path = reference.path.iter().map(|name| &**name);
    let parts: Vec<&str> = name.into_iter().chain(path).collect();
    parts.join(".")
}
