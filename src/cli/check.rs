//! `tributary check`: reports every problem of a configuration and its IDL in one run.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::connect::on_loop;
use super::error::{CommandError, Reason};
use super::exit::ExitStatus;
use super::include::IncludeArgs;
use super::output::Output;
use crate::config::Document;
use crate::diagnostic::{Problem, SourceFile};
use crate::explain::size;
use crate::plan::Plan;
use crate::program::{self, Examined, Program, Refused};

/// The option that names the configuration.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArg {
    /// The configuration
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "tributary.toml"
    )]
    path: String,
    #[command(flatten)]
    include: IncludeArgs,
}

impl ConfigArg {
    /// Opens the configuration.
    pub(super) fn open(&self) -> Result<Document, Vec<Problem>> {
        program::open(&self.path, &self.include.folders).map_err(|problem| vec![*problem])
    }

    /// The program, or every problem.
    pub(super) fn check(&self) -> Result<Program, Vec<Problem>> {
        program::check_document(self.open()?, &Vec::new())
    }

    /// The program, or every problem and the files that were read.
    pub(super) fn check_again(&self) -> Result<Program, Refused> {
        program::check_again(&self.path, &self.include.folders, &Vec::new())
    }
}

/// Report every problem of a configuration and its IDL
///
/// Nothing is bound and, without `--connect`, no store is contacted. If there are no problems, prints one line per method and the
/// methods that are not served.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// Also connect to every store, and compare what it reports about the lookups with the IDL
    ///
    /// Stores are asked read-only questions: SQL is prepared but never run, no key and no URL is fetched. Statements
    /// that a store refuses, columns that can't fill their fields and parameters that can't be bound are problems;
    /// what fits only for some values is a warning.
    #[arg(long)]
    connect: bool,
    /// How to print problems
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ProblemFormat,
}

const EXAMPLES: &str = "\
Examples:
  tributary check
  tributary check -c staging.toml --connect
  tributary check --format json | jq '.[].key'

Exit codes: 0 no problems, 1 a store can't be reached, 2 any other problem";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ProblemFormat {
    /// Like a compiler's diagnostics, on stderr
    #[default]
    Text,
    /// An array of {level, code, file, line, key, message, help, manual}, on stdout
    Json,
}

pub(super) fn run(options: &Check, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let read = read(&options.config);
    let examined = match &read {
        Ok((program, source)) if options.connect => on_loop(program::examine(program, source))?,
        Ok((program, _)) => Examined {
            warnings: program.warnings.clone(),
            ..Examined::default()
        },
        Err(problems) => Examined {
            problems: problems.clone(),
            ..Examined::default()
        },
    };
    let status = status(&examined);
    match options.format {
        ProblemFormat::Json => out.data(&format!("{:#}", to_json(&examined))),
        ProblemFormat::Text => {
            out.warnings(&examined.warnings);
            for found in &examined.found {
                out.data(found);
            }
            if status != ExitStatus::Done {
                let reason = Reason::Problems(examined.problems);
                return Err(CommandError { status, reason });
            }
            for done in &examined.done {
                out.data(done);
            }
            for plan in read.iter().flat_map(|(program, _)| plans(program)) {
                out.data(&summary(plan));
            }
            if let Some(line) = read.iter().find_map(|(program, _)| workers(program)) {
                out.data(&line);
            }
            if let Some(line) = read.iter().find_map(|(program, _)| unserved(program)) {
                out.data(&line);
            }
        }
    }
    Ok(status)
}

/// The program, or its problems, found without contacting a store.
fn read(config: &ConfigArg) -> Result<(Program, SourceFile), Vec<Problem>> {
    let document = config.open()?;
    let source = document.source.clone();
    let program = program::check_document(document, &Vec::new())?;
    Ok((program, source))
}

fn status(examined: &Examined) -> ExitStatus {
    if examined.is_misconfigured() {
        ExitStatus::Misuse
    } else if examined.problems.is_empty() {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    }
}

/// The plans of the methods that are served, in the IDL's order.
pub(super) fn plans(program: &Program) -> impl Iterator<Item = &Plan> {
    let services = program.services.iter();
    services.flat_map(|of| of.plans_in_order().map(|plan| &**plan))
}

/// `workers: 4 (auto)`, unless the number is in the file.
fn workers(program: &Program) -> Option<String> {
    let from = program.workers_from.as_ref()?;
    Some(format!("workers: {} ({from})", program.workers))
}

/// `unserved: getBoard, getCrew`
fn unserved(program: &Program) -> Option<String> {
    let several = program.services.len() > 1;
    let methods = program.services.iter().flat_map(|of| {
        let names = of.unserved.iter();
        names.map(move |name| {
            if several {
                format!("{}:{name}", of.name)
            } else {
                name.to_string()
            }
        })
    });
    let methods: Vec<String> = methods.collect();
    (!methods.is_empty()).then(|| format!("unserved: {}", methods.join(", ")))
}

/// `getDeparture: 8 lookups in 2 stages, deadline 800ms`
fn summary(plan: &Plan) -> String {
    format!("{}: {}", plan.label, size(plan))
}

fn to_json(examined: &Examined) -> serde_json::Value {
    let errors = examined.problems.iter().map(|problem| ("error", problem));
    let warnings = examined.warnings.iter();
    let all = errors.chain(warnings.map(|warning| ("warning", warning)));
    all.map(|(level, problem)| {
        let key = (!problem.key.is_empty()).then_some(&problem.key);
        json!({
            "level": level,
            "code": problem.code.as_str(),
            "file": problem.place.as_ref().map(|(source, _)| &*source.path),
            "line": problem.line(),
            "key": key,
            "message": problem.message,
            "help": problem.help,
            "manual": problem.manual(),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn only_a_store_that_cannot_be_reached_is_no_misuse() {
        let examined = |codes: &[Code]| Examined {
            problems: codes
                .iter()
                .map(|&code| Problem {
                    code,
                    place: None,
                    key: "backends.ops".into(),
                    message: String::new(),
                    help: None,
                })
                .collect(),
            ..Examined::default()
        };
        for (codes, expected) in [
            (&[][..], ExitStatus::Done),
            (&[Code::LookupUnavailable], ExitStatus::Failed),
            // The client of the store panicked.
            (&[Code::ServerInternal], ExitStatus::Misuse),
            (
                &[Code::LookupUnavailable, Code::ServerInternal],
                ExitStatus::Misuse,
            ),
        ] {
            assert_eq!(status(&examined(codes)), expected, "{codes:?}");
        }
    }
}
