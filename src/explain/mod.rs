//! A view in words: what starts when, with what, and how long it can take.
//!
//! In: a checked program and one of its plans. Out: an [`Explanation`], and its text. A plan holds places where
//! the configuration has names; `words.rs` turns them back. `chain.rs` adds timeouts up along references.
//! Nothing is asked.

mod explanation;
mod chain;
mod warnings;
mod words;

use crate::plan::Plan;
use crate::program::Program;

use chain::Chains;
pub use explanation::{Explanation, LookupExplanation};
use words::Words;

impl Explanation {
    /// Explains `plan` of `program`.
    pub fn of(program: &Program, plan: &Plan) -> Self {
        let words = Words { program, plan };
        let chains = Chains::of(plan);
        let stages = plan.stages();
        let lookups = stages.iter().map(|stage| {
            let steps = stage.iter().map(|&at| words.lookup_of(&plan.steps[at]));
            steps.collect()
        });
        Explanation {
            signature: words.signature(),
            size: size(plan),
            deadline: plan.deadline,
            stages: lookups.collect(),
            longest_chain: words.names(&chains.longest()),
            worst_case: words.worst(&chains),
            warnings: warnings::of(words, &chains),
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
