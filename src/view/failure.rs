//! Why a call fails: which of its required lookups has no value, and whose doing that is.
//!
//! A lookup that lacks an input did not fail itself: the cause is looked for among the lookups it takes its inputs
//! from, and in the parameters of the call. Worked out once a call fails, and never otherwise.

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
    /// Its place in the plan.
    pub step: usize,
    /// What became of it.
    pub fate: Fate,
    /// The step that is the cause: itself, or one that it takes an input from.
    pub root: usize,
    /// What became of that.
    pub root_fate: Fate,
    /// The cause's code; none where nothing failed, and there is nothing all the same.
    pub code: Option<Code>,
    /// The call's own deadline, not the lookup's timeout, ended it.
    pub out_of_time: bool,
    /// The parameter that the cause takes and that was not sent, where that may be why.
    pub unsent: Option<String>,
    /// The same call can't succeed, whatever the stores do: its parameters are wrong.
    pub of_caller: bool,
    /// What the log may say of it.
    pub detail: Option<String>,
    /// The exception that it threw, when a closure threw one.
    pub thrown: Option<Box<Thrown>>,
}

impl Failure {
    /// Of the required step at `at`, which has just got its fate.
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
            // A list of which every lookup is made: nothing was asked yet.
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

    /// Takes over what the step at `at` said, if it is the one that failed.
    pub(super) fn hear(&mut self, at: usize, err: &LookupError) {
        if self.step == at {
            self.detail = Some(err.detail.clone());
            self.thrown.clone_from(&err.thrown);
        }
    }
}

/// The step from which `at` has no value: the first without one along what each takes from the one before.
fn root(plan: &Plan, tracks: &[Track], at: usize) -> usize {
    let mut root = at;
    // Steps stand after those they need, so this ends.
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
    /// What it takes: the list of its `foreach`, and its inputs.
    fn references(&self) -> impl Iterator<Item = &Reference> {
        let over = self.foreach.iter().map(|foreach| &foreach.over);
        over.chain(self.bindings.iter().filter_map(|binding| match binding {
            Binding::To(reference) => Some(reference),
            Binding::Literal(_) => None,
        }))
    }

    /// The first parameter that was not sent, where that is why it has no value: it can't be made without, or takes nothing
    /// else.
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

    /// Whether all that it takes is the caller's.
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

/// A parameter as the configuration writes it.
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
