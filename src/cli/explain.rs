//! `tributary explain`: describes a view: which lookups start when, with which inputs, and how long a call can take.

use clap::Args;

use super::admin_port::AdminArgs;
use super::check::{ConfigArg, plans};
use super::error::CommandError;
use super::exit::ExitStatus;
use super::live;
use super::method::{refuse_config_as_method, suggestion};
use super::output::Output;
use crate::diagnostic::list;
use crate::explain::Explanation;
use crate::plan::Plan;
use crate::program::{Program, find};

/// Explain how a method's reply is made
///
/// For each lookup: its backend, what it waits for, where each parameter comes from and where the value goes. For
/// the whole call: the stages, the longest chain, and how long it can take by the configured timeouts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigArg,
    /// The method [default: all]
    #[arg(value_name = "METHOD")]
    method: Option<String>,
    /// Ask the admin port of a running server what decides how long its calls take
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

const EXAMPLES: &str = "\
Examples:
  tributary explain
  tributary explain -c staging.toml getDeparture
  tributary explain --live getDeparture";

pub(super) fn run(options: &Explain, out: &mut Output) -> Result<ExitStatus, CommandError> {
    if let Some(method) = &options.method {
        refuse_config_as_method(method)?;
    }
    if options.live {
        let port = options.admin.port(&options.config)?;
        out.data(&live::tables(&port, options.method.as_deref())?);
        return Ok(ExitStatus::Done);
    }
    let program = options.config.check()?;
    let explain = |plan| Explanation::of(&program, plan).to_string();
    let texts = match &options.method {
        Some(method) => vec![explain(plan(&program, method)?)],
        None => plans(&program).map(explain).collect(),
    };
    out.data(&texts.join("\n"));
    Ok(ExitStatus::Done)
}

fn plan<'a>(program: &'a Program, method: &str) -> Result<&'a Plan, CommandError> {
    if let Some(plan) = program.plan(method) {
        return Ok(plan);
    }
    let same = plans(program).filter(|plan| *plan.method == *method);
    let same: Vec<&str> = same.map(|plan| &*plan.label).collect();
    if same.len() > 1 {
        let message = format!("several services have a method `{method}`");
        let help = format!("name the service too: {}", list(same.into_iter()));
        return Err(CommandError::misuse(message).help(help));
    }
    if find(&program.services, method).is_some_and(|(of, name)| of.service().method(name).is_some())
    {
        let message = format!("method `{method}` has no view");
        return Err(CommandError::misuse(message));
    }
    let message = match &program.services[..] {
        [only] => format!("service `{}` has no method `{method}`", only.name),
        _ => format!("no service has a method `{method}`"),
    };
    let served = plans(program).map(|plan| &*plan.label);
    let served: Vec<&str> = served.collect();
    Err(CommandError::misuse(message).help(suggestion(method, served.into_iter())))
}
