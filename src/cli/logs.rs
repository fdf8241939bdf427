//! Sends the program's logs to stderr.

use std::io;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::exit::Failure;
use super::output::Output;

/// What is logged, and how it looks.
#[derive(Clone, Debug, Args)]
pub(super) struct LogArgs {
    /// How a line looks
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: Format,
    /// What is logged: error, warn, info, debug or trace, or per module as in `info,tributary::view=trace`
    /// [default: the environment variable `RUST_LOG`, or info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Starts logging, for the rest of the process.
pub(super) fn start(args: &LogArgs, out: &Output) -> Result<(), Failure> {
    let filter = filter(args.log.as_deref())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // Nobody may read stderr any more, and complaining of that there would be a panic.
        .log_internal_errors(false)
        .with_ansi(out.note_color());
    let started = match args.log_format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    started.map_err(|err| Failure::failed(format_args!("can't start logging: {err}")))
}

fn filter(option: Option<&str>) -> Result<EnvFilter, Failure> {
    let variable = std::env::var("RUST_LOG").ok();
    let (name, text) = match (option, &variable) {
        (Some(text), _) => ("--log", text),
        (None, Some(text)) if !text.is_empty() => ("RUST_LOG", text.as_str()),
        _ => ("--log", "info"),
    };
    EnvFilter::try_new(text).map_err(|err| {
        Failure::misuse(format_args!("`{name}`: `{text}` says no levels: {err}"))
            .help("for example `info`, or `warn,tributary::view=trace`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ExitStatus;

    #[test]
    fn a_filter_is_checked() {
        let filter_text = filter(Some("warn,tributary::view=trace")).expect("two directives");
        assert!(filter_text.to_string().contains("tributary::view=trace"));
        let failure = filter(Some("tributary=loud")).expect_err("no such level");
        assert_eq!(failure.status, ExitStatus::Misuse);
    }
}
