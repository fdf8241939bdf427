//! `tributary explain`: a view in words: what starts when, with what, and how long it can take.
//!
//! In: a checked configuration. Out: text. A plan holds places where the configuration has names; [`words`] turns
//! them back. [`chain`] adds timeouts up along references. Nothing is asked.

mod chain;
mod warnings;
mod words;

use std::fmt::Write as _;

use clap::Args;

use super::check::{ConfigArg, plans, size};
use super::exit::{ExitStatus, Failure};
use super::method::suggestion;
use super::output::Output;
use crate::config::{self, Program};
use crate::view::{Plan, Step};

use chain::Chains;
use words::Words;

/// Explain how a method's reply is made
///
/// For each lookup: its backend, what it waits for, where each parameter comes from and where the value goes. For
/// the whole: the stages, the longest chain, and how long a call can take by the configured timeouts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigArg,
    /// The method [default: all]
    #[arg(value_name = "METHOD")]
    method: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tributary explain
  tributary explain -c staging.toml getDeparture";

pub(super) fn run(options: &Explain, out: &mut Output) -> Result<ExitStatus, Failure> {
    let program = config::check(&options.config.path, &Vec::new())?;
    let texts = match &options.method {
        Some(method) => vec![explain(&program, plan(&program, method)?)],
        None => plans(&program)
            .map(|plan| explain(&program, plan))
            .collect(),
    };
    out.data(&texts.join("\n"));
    Ok(ExitStatus::Done)
}

fn plan<'a>(program: &'a Program, method: &str) -> Result<&'a Plan, Failure> {
    if let Some(plan) = program.plans.get(method) {
        return Ok(plan);
    }
    let service = program.service();
    if service.method(method).is_some() {
        let message = format!("method `{method}` is `unserved`: it has no view");
        return Err(Failure::misuse(message));
    }
    let message = format!("service `{}` has no method `{method}`", service.name);
    let served = plans(program).map(|plan| &*plan.method);
    let served: Vec<&str> = served.collect();
    Err(Failure::misuse(message).help(suggestion(method, served.into_iter())))
}

/// One view in words, as lines of text.
pub(crate) fn explain(program: &Program, plan: &Plan) -> String {
    let words = Words { program, plan };
    let chains = Chains::of(plan);
    let mut text = format!("{}\n{}\n", words.signature(), size(plan));
    for (at, stage) in plan.stages().iter().enumerate() {
        let start = match at {
            0 => "as the call arrives",
            _ => "each as soon as it has what it waits for",
        };
        push(&mut text, &format!("\nstage {}: {start}", at + 1));
        for &at in stage {
            lookup(&mut text, words, &plan.steps[at]);
        }
    }
    push(
        &mut text,
        &format!("\nlongest chain: {}", words.chain(&chains.longest())),
    );
    push(&mut text, &format!("worst case: {}", words.worst(&chains)));
    for warning in warnings::of(words, &chains) {
        push(&mut text, &format!("warning: {warning}"));
    }
    text
}

fn lookup(text: &mut String, words: Words<'_>, step: &Step) {
    push(text, &format!("  {}: {}", step.name, words.asks(step)));
    let facts = words.facts(step).join(", ");
    if !facts.is_empty() {
        push(text, &format!("    {facts}"));
    }
    if let Some(batching) = words.batching(step) {
        push(text, &format!("    {batching}"));
    }
    let bindings = words.bindings(step);
    let width = bindings.iter().map(|(name, _)| name.len()).max();
    for (name, to) in &bindings {
        push(text, &format!("    {name:<0$} <- {to}", width.unwrap_or(0)));
    }
    push(text, &format!("    -> {}", words.target(step)));
}

fn push(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let _infallible = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests;
