//! Reads a kind's configuration from TOML text and asks it, for the tests of every kind of store.
//!
//! As in production: the same sections, `finish` at the end, parameters by position. Problems are returned as
//! texts of the form `code key: message (help)`.

use std::time::Duration;

use tokio::time::Instant;

use super::{Ask, Backend, Compiled, LookupError};
use crate::config::{Section, document, whole};
use crate::context::Context;
use crate::diagnostic::Problem;
use crate::value::Value;

/// The keys of a `[backends.NAME]`.
pub(crate) fn config<B: Backend>(toml: &str) -> Result<B::Config, Vec<String>> {
    read(toml, |section| B::read_config(section))
}

/// The keys of a `[lookups.NAME]`.
pub(crate) fn lookup<B: Backend>(
    config: &B::Config,
    toml: &str,
) -> Result<Compiled<B::Lookup>, Vec<String>> {
    read(toml, |section| B::read_lookup(config, section))
}

/// What is wrong with the keys of a `[backends.NAME]`.
#[track_caller]
pub(crate) fn config_problems<B: Backend>(toml: &str) -> Vec<String> {
    config::<B>(toml).err().expect("problems")
}

/// What is wrong with the keys of a `[lookups.NAME]`.
#[track_caller]
pub(crate) fn lookup_problems<B: Backend>(config: &B::Config, toml: &str) -> Vec<String> {
    lookup::<B>(config, toml).err().expect("problems")
}

fn read<T>(toml: &str, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> Result<T, Vec<String>> {
    let document = document(toml);
    let mut section = whole(&document);
    let read = read(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(problems.iter().map(problem_line).collect()),
    }
}

/// `code key: message (help)`
pub(crate) fn problem_line(problem: &Problem) -> String {
    let help = problem.help.as_ref().map(|help| format!(" ({help})"));
    let help = help.unwrap_or_default();
    format!(
        "{} {}: {}{help}",
        problem.code, problem.key, problem.message
    )
}

/// Asks with parameters by name and a deadline far away.
pub(crate) async fn ask<B: Backend>(
    backend: &B,
    compiled: &Compiled<B::Lookup>,
    params: &[(&str, Value)],
) -> Result<Value, LookupError> {
    ask_within(backend, compiled, params, Duration::from_mins(1)).await
}

/// Asks with parameters by name; only the store itself keeps the deadline.
pub(crate) async fn ask_within<B: Backend>(
    backend: &B,
    compiled: &Compiled<B::Lookup>,
    params: &[(&str, Value)],
    timeout: Duration,
) -> Result<Value, LookupError> {
    let value_of = |name: &str| params.iter().find(|(have, _)| *have == name);
    let params: Vec<Value> = compiled
        .params
        .iter()
        .map(|name| {
            value_of(name)
                .expect("a value for each parameter")
                .1
                .clone()
        })
        .collect();
    let deadline = Instant::now() + timeout;
    let context = Context::new(Instant::now(), deadline);
    let ask = Ask {
        params: &params,
        context: &context,
        deadline,
        allowed: Duration::ZERO,
        step: 0,
    };
    let answer = backend.lookup(&compiled.lookup, ask).await?;
    Ok(answer.decoded().await?.value)
}
