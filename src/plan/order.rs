//! Sorts the uses of a view so that each comes after those that it needs, and assembles the plan.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::compile::{Compiler, Draft};
use super::compiled::{
    Binding, Condition, Foreach, LookupId, Plan, ReplyShape, Step, Target, Throw,
};
use super::placing::Placing;
use super::reference::{Reference, Root};
use crate::config::UseEntry;
use crate::error::Code;

use crate::idl::Type;

impl Compiler<'_> {
    /// The indices of the uses, each after those that it needs, otherwise in declared order. Reports a cycle.
    pub(super) fn order(&self, drafts: &[Draft]) -> Option<Vec<usize>> {
        let mut missing: Vec<usize> = drafts.iter().map(|draft| draft.needs.len()).collect();
        let mut needed_by = vec![Vec::new(); drafts.len()];
        for (at, draft) in drafts.iter().enumerate() {
            for &need in &draft.needs {
                needed_by[need].push(at);
            }
        }
        // Those whose needs are all in `order`, the first declared on top.
        let ready = (0..drafts.len()).filter(|&at| missing[at] == 0);
        let mut ready: BinaryHeap<Reverse<usize>> = ready.map(Reverse).collect();
        let mut order: Vec<usize> = Vec::with_capacity(drafts.len());
        while let Some(Reverse(next)) = ready.pop() {
            order.push(next);
            for &at in &needed_by[next] {
                missing[at] -= 1;
                if missing[at] == 0 {
                    ready.push(Reverse(at));
                }
            }
        }
        if order.len() == drafts.len() {
            return Some(order);
        }
        let cycle = cycle(drafts, &missing);
        let names: Vec<&str> = cycle.iter().map(|&at| &*self.uses[at]).collect();
        self.problem(
            &self.view.uses[cycle[0]].place,
            Code::ConfigCycle,
            format!("lookups wait for each other: {}", names.join(" -> ")),
            Some("let one of them take its input from a parameter of the method".into()),
        );
        None
    }

    pub(super) fn assemble(
        self,
        drafts: Vec<Draft>,
        order: &[usize],
        targets: Vec<Target>,
        throws: Vec<Throw>,
    ) -> Plan {
        // From the declared index of a use to its index in the plan.
        let mut place_of = vec![0; order.len()];
        for (place, &declared) in order.iter().enumerate() {
            place_of[declared] = place;
        }
        let mut referred = vec![false; order.len()];
        for need in drafts.iter().flat_map(|draft| &draft.needs) {
            referred[*need] = true;
        }
        let drop_below = self.drop_below(&drafts, &targets);
        let brownout = self.brownout();
        let mut parts: Vec<Option<(Draft, Target)>> =
            drafts.into_iter().zip(targets).map(Some).collect();
        let steps: Vec<Step> = order
            .iter()
            .filter_map(|&declared| {
                let (draft, target) = parts[declared].take()?;
                let mut step = self.step(&self.view.uses[declared], draft, target, &place_of)?;
                step.set_referred(referred[declared]);
                step.drop_below = drop_below[declared];
                Some(step)
            })
            .collect();
        let report_field = match self.reply {
            ReplyShape::Struct(id) => self.report_field(id),
            _ => None,
        };
        let placing = match self.reply {
            ReplyShape::Struct(id) => {
                let fields = self.scope.schema.get(id).fields.len();
                Placing::of(steps.iter().map(|step| step.target.fills()), fields)
            }
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
            index: 0,
            method: Arc::clone(&self.method.name),
            service: 0,
            label: Arc::clone(&self.method.name),
            key: Arc::from(&*self.view.place.key),
            oneway: self.method.oneway,
            params: self.method.params,
            context_param,
            deadline: self.view.deadline,
            referred: steps.iter().any(|step| step.referred),
            lanes: steps.iter().map(Step::lane).collect(),
            steps,
            declared: place_of,
            reply: self.reply,
            placing,
            report_field,
            report_always: self.view.report,
            brownout,
            allow: (self.view.allow.as_ref()).map(|key| Arc::new(key.allow.clone())),
            throws,
        }
    }

    /// The step of a use, with what is asked instead of it.
    fn step(
        &self,
        entry: &UseEntry,
        mut draft: Draft,
        target: Target,
        place_of: &[usize],
    ) -> Option<Step> {
        let mut fallback = None;
        for of in std::mem::take(&mut draft.fallbacks).into_iter().rev() {
            let mut step = self.step(&of.entry, of.draft, target.clone(), place_of)?;
            (step.name, step.fallback) = (of.name, fallback);
            fallback = Some(Box::new(step));
        }
        let at = draft.lookup?;
        let facts = &self.scope.lookups[at];
        let moved = |mut reference: Reference| {
            if let Root::Lookup(declared) = reference.root {
                reference.root = Root::Lookup(place_of[declared]);
            }
            reference
        };
        let (timeout, deadline) = (entry.timeout.or(facts.timeout), self.view.deadline);
        let mut after: Vec<usize> = draft.needs.iter().map(|&need| place_of[need]).collect();
        after.sort_unstable();
        let bindings = draft.bindings.into_iter().map(|binding| match binding {
            Binding::To(reference) => Binding::To(moved(reference)),
            Binding::Named(reference, ty) => Binding::Named(moved(reference), ty),
            literal @ Binding::Literal(_) => literal,
        });
        let bindings: Vec<Binding> = bindings.collect();
        let only_param = match &bindings[..] {
            [Binding::To(reference)] if draft.when.is_none() && draft.foreach.is_none() => {
                reference.as_param()
            }
            _ => None,
        };
        Some(Step {
            name: Arc::clone(&entry.name),
            backend: Arc::clone(&facts.backend),
            lookup: LookupId(at),
            bindings,
            only_param,
            after: after.into(),
            referred: false,
            drop_below: 0.0,
            // A reply that is a single value needs it.
            required: entry.required || matches!(target, Target::Whole(_)),
            default: entry.default.as_ref().map(|(value, _)| value.clone()),
            default_on_empty: entry.default_on_empty,
            fallback,
            when: draft.when.map(|when| Condition {
                reference: moved(when.reference),
                ..when
            }),
            foreach: draft.foreach.map(|each| Foreach {
                over: moved(each.over),
                ..each
            }),
            timeout,
            allowed: timeout.unwrap_or(deadline).min(deadline).into(),
            parse_text: facts.parse_text,
            target,
        })
    }
}

impl Step {
    /// Notes for the step, and for what is asked instead of it, whether a later step refers to its value.
    fn set_referred(&mut self, referred: bool) {
        let mut next = Some(self);
        while let Some(step) = next {
            step.referred = referred;
            next = step.fallback.as_deref_mut();
        }
    }
}

/// One cycle among the remaining uses, each use once.
fn cycle(drafts: &[Draft], missing: &[usize]) -> Vec<usize> {
    let stuck = |at: &usize| missing[*at] > 0;
    let mut path: Vec<usize> = (0..drafts.len()).find(stuck).into_iter().collect();
    loop {
        let Some(&last) = path.last() else {
            return path;
        };
        // Every remaining use needs another remaining use, so the walk closes a cycle.
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
