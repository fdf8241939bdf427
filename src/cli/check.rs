//! `tributary check`: everything that is wrong with a configuration and its IDL, at once.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::{ExitStatus, Failure};
use super::output::{Output, count};
use crate::config::{self, Problem, Program};
use crate::view::Plan;

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArg {
    /// The configuration
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "tributary.toml"
    )]
    pub(super) path: String,
}

/// Say everything that is wrong with a configuration and its IDL
///
/// Nothing is bound and no store is asked. When all is well, prints one line per method.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// How problems are told
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  tributary check
  tributary check -c staging.toml
  tributary check --format json | jq '.[].key'

Exit codes: 0 nothing is wrong, 2 something is";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As compilers tell theirs, on stderr
    #[default]
    Text,
    /// An array of {code, file, line, key, message, help}, on stdout
    Json,
}

pub(super) fn run(options: &Check, out: &mut Output) -> Result<ExitStatus, Failure> {
    match (
        config::check(&options.config.path, &Vec::new()),
        options.format,
    ) {
        (Ok(program), Format::Text) => {
            for plan in plans(&program) {
                out.data(&summary(plan));
            }
            Ok(ExitStatus::Done)
        }
        (Ok(_), Format::Json) => {
            out.data("[]");
            Ok(ExitStatus::Done)
        }
        (Err(problems), Format::Text) => Err(problems.into()),
        (Err(problems), Format::Json) => {
            let all: serde_json::Value = problems.iter().map(to_json).collect();
            out.data(&format!("{all:#}"));
            Ok(ExitStatus::Misuse)
        }
    }
}

/// The plans of the methods that are served, in the IDL's order.
pub(super) fn plans(program: &Program) -> impl Iterator<Item = &Plan> {
    let methods = program.service().methods.iter();
    methods.filter_map(|method| program.plans.get(&method.name).map(|plan| &**plan))
}

/// `getDeparture: 8 lookups in 2 stages, deadline 800ms`
fn summary(plan: &Plan) -> String {
    format!("{}: {}", plan.method, size(plan))
}

/// `8 lookups in 2 stages, deadline 800ms`
pub(super) fn size(plan: &Plan) -> String {
    format!(
        "{} in {}, deadline {}",
        count(plan.steps.len(), "lookup"),
        count(plan.stages().len(), "stage"),
        humantime::format_duration(plan.deadline)
    )
}

fn to_json(problem: &Problem) -> serde_json::Value {
    let key = (!problem.key.is_empty()).then_some(&problem.key);
    json!({
        "code": problem.code.as_str(),
        "file": problem.place.as_ref().map(|(source, _)| &*source.path),
        "line": problem.line(),
        "key": key,
        "message": problem.message,
        "help": problem.help,
    })
}
