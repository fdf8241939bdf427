//! Defines an [`Explanation`], and prints it.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// How the reply of a method is made. `tributary explain` prints it with `Display`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// `getAirport(code, context) returns flights.Airport`
    pub signature: String,
    /// `8 lookups in 2 stages, deadline 800ms`
    pub size: String,
    /// How long a call may take.
    pub deadline: Duration,
    /// The lookups by stage: those of one stage can start together.
    pub stages: Vec<Vec<LookupExplanation>>,
    /// The lookups of the longest chain.
    pub longest_chain: Vec<String>,
    /// The longest that a call can take, and why.
    pub worst_case: String,
    /// What is allowed but probably a mistake.
    pub warnings: Vec<String>,
}

/// How one lookup of a view is made.
#[derive(Clone, Debug, PartialEq)]
pub struct LookupExplanation {
    /// Its name in the view.
    pub name: String,
    /// The backend that it asks.
    pub backend: String,
    /// The kind of store, or `closure`.
    pub kind: String,
    /// The name of the lookup in the configuration.
    pub lookup: String,
    /// The lookups it waits for.
    pub after: Vec<String>,
    /// When it runs, how often and how long, and what happens if it fails.
    pub facts: Vec<String>,
    /// How it is batched with other lookups, if it can be.
    pub batching: Option<String>,
    /// Its parameters, each with what it is bound to.
    pub bindings: Vec<(String, String)>,
    /// Where its value goes.
    pub fills: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.signature, self.size)?;
        for (at, stage) in self.stages.iter().enumerate() {
            let start = match at {
                0 => "when the call arrives",
                _ => "each as soon as its inputs are there",
            };
            writeln!(f, "\nstage {}: {start}", at + 1)?;
            for lookup in stage {
                lookup.fmt(f)?;
            }
        }
        let chain = match &self.longest_chain[..] {
            [] => "none".into(),
            names => names.join(" -> "),
        };
        writeln!(f, "\nlongest chain: {chain}")?;
        writeln!(f, "worst case: {}", self.worst_case)?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LookupExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut asks = format!("asks {} ({})", self.backend, self.kind);
        if self.lookup != self.name {
            write!(asks, " for {}", self.lookup)?;
        }
        if !self.after.is_empty() {
            write!(asks, ", after {}", self.after.join(" and "))?;
        }
        writeln!(f, "  {}: {asks}", self.name)?;
        if !self.facts.is_empty() {
            writeln!(f, "    {}", self.facts.join(", "))?;
        }
        if let Some(batching) = &self.batching {
            writeln!(f, "    {batching}")?;
        }
        let width = self.bindings.iter().map(|(name, _)| name.len()).max();
        for (name, to) in &self.bindings {
            writeln!(f, "    {name:<0$} <- {to}", width.unwrap_or(0))?;
        }
        writeln!(f, "    -> {}", self.fills)
    }
}
