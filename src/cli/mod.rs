//! The command line: one file or folder per command.
//!
//! In: the arguments. Out: data on stdout, everything else on stderr, and the exit status. Each command is a struct of its
//! options and a function `run(options, &mut Output)`.

mod exit;
mod error; // why a command failed
mod output;
mod logs; // tracing to stderr
mod method; // finds a method in an IDL
mod params; // `name=value` to typed parameters
mod tls; // its options, and what they trust
mod dial; // sockets, with or without TLS
mod client; // one connection to a server
mod include; // where the includes of an IDL are
mod connect; // options for connecting
mod server_idl; // asks a server for its IDL
mod reply; // a reply as text
mod call_json; // calls for embedding programs
mod serve;
mod health; // for containers
mod listener; // of a configuration
mod check;
mod admin_port; // of a running server
mod live; // what decides how long calls take
mod tap;
mod top;
mod explain;
mod call;
mod compare;
mod bench;
pub mod demo;
mod standard_idl; // `tributary idl`, and files that are not overwritten
mod init;
mod manual;
mod completions;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};

pub use call_json::{call_json, call_json_at};
pub use client::{Client, ClientError, MethodCall, MethodReply};
pub use error::{CommandError, Reason};
pub use exit::ExitStatus;
pub use output::{Color, Output};

/// Serves a Thrift service straight from its IDL: every method is a set of lookups, run at the same time and
/// merged into one typed reply
#[derive(Debug, Parser)]
#[command(
    name = "tributary",
    bin_name = "tributary",
    version,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

const EXAMPLES: &str = "\
Examples:
  tributary demo --once                     see what it does, on real data
  tributary init greet.thrift               start a project for an IDL
  tributary check -c tributary.toml         report every problem of a configuration
  tributary serve -c tributary.toml         serve it
  tributary call getAirport code=JFK        call a method
  tributary manual                          the pages of the manual

Exit codes: 0 done, 1 the command failed, 2 bad usage or configuration";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Serve(serve::Serve),
    Health(health::Health),
    Check(check::Check),
    Explain(explain::Explain),
    Tap(tap::Tap),
    Top(top::Top),
    Call(Box<call::CallCommand>),
    Compare(Box<compare::Compare>),
    Bench(Box<bench::Bench>),
    Idl(standard_idl::StandardIdl),
    Manual(manual::Manual),
    Completions(completions::Completions),
}

/// Runs the command in `args`, which begin with the program's name.
pub fn main<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> ExitStatus {
    let mut out = Output::stdio();
    let status = main_with(args, &mut out);
    out.finish(status)
}

fn main_with<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    out: &mut Output,
) -> ExitStatus {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(err) => return usage(&err, out),
    };
    out.set_color(cli.color);
    run(cli.command, out).unwrap_or_else(|err| {
        err.print(out);
        err.status
    })
}

fn run(command: Command, out: &mut Output) -> Result<ExitStatus, CommandError> {
    match command {
        Command::Demo(options) => demo::run(&options, out),
        Command::Init(options) => init::run(&options, out),
        Command::Serve(options) => serve::run(&options, out),
        Command::Health(options) => health::run(&options, out),
        Command::Check(options) => check::run(&options, out),
        Command::Explain(options) => explain::run(&options, out),
        Command::Tap(options) => tap::run(&options, out),
        Command::Top(options) => top::run(&options, out),
        Command::Call(options) => call::run(&options, out),
        Command::Compare(options) => compare::run(&options, out),
        Command::Bench(options) => bench::run(&options, out),
        Command::Idl(options) => standard_idl::run(&options, out),
        Command::Manual(options) => manual::run(&options, out),
        Command::Completions(options) => Ok(completions::run(&options, Cli::command(), out)),
    }
}

/// Prints clap's message. Help and version were asked for and are data; everything else is misuse.
fn usage(err: &clap::Error, out: &mut Output) -> ExitStatus {
    let text = |color| {
        let text = err.render();
        if color {
            text.ansi().to_string()
        } else {
            text.to_string()
        }
    };
    if err.use_stderr() {
        out.note(&text(out.note_color()));
        if let Some(config) = stray_config(err) {
            out.note(&format!("  help: {}", method::config_help(config)));
        }
        ExitStatus::Misuse
    } else {
        out.data(&text(out.data_color()));
        ExitStatus::Done
    }
}

/// The configuration that was named without `-c`.
fn stray_config(err: &clap::Error) -> Option<&str> {
    match err.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if err.kind() == ErrorKind::UnknownArgument => {
            Some(word.as_str()).filter(|word| method::is_config(word))
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
