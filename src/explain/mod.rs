//! Explains a view: what starts when, with which inputs, and how long it can take.
//!
//! In: a checked program and one of its plans. Out: an [`Explanation`], which prints itself. `plan_names.rs` turns the indices of
//! a plan back into names. `chain.rs` adds up timeouts along references. No store is asked.

mod explanation;
mod chain;
mod warnings;
mod plan_names;

use crate::plan::Plan;
use crate::program::Program;

use chain::Chains;
pub use explanation::{Explanation, LookupExplanation};
use plan_names::PlanNames;

impl Explanation {
    /// Explains `plan` of `program`.
    pub fn of(program: &Program, plan: &Plan) -> Self {
        let names = PlanNames { program, plan };
        let chains = Chains::of(plan);
        let stages = plan.stages();
        let lookups = stages.iter().map(|stage| {
            let steps = stage.iter().map(|&at| names.lookup_of(&plan.steps[at]));
            steps.collect()
        });
        Explanation {
            signature: names.signature(),
            size: size(plan),
            deadline: plan.deadline,
            stages: lookups.collect(),
            longest_chain: names.names(&chains.longest()),
            worst_case: names.worst(&chains),
            warnings: warnings::of(names, &chains),
        }
    }
}

/// `8 lookups in 2 stages, deadline 800ms`
pub fn size(plan: &Plan) -> String {
    let count = |number: usize, thing: &str| match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    };
    format!(
        "{} in {}, deadline {}",
        count(plan.steps.len(), "lookup"),
        count(plan.stages().len(), "stage"),
        humantime::format_duration(plan.deadline)
    )
}

#[cfg(test)]
mod tests;
