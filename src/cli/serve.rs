//! `tributary serve`: checks the configuration, then serves it until a signal stops it.

use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::check::ConfigArg;
use super::error::CommandError;
use super::exit::ExitStatus;
use super::logs::{self, LogArgs};
use super::output::Output;
use crate::server;

/// Serve the configured service
///
/// Prints every bound address. SIGTERM or SIGINT end it: calls in flight are finished first (`drain_timeout`), a
/// second signal ends it immediately. SIGHUP reloads the configuration and the IDL;
/// with `server.reload = "on_change"`, so does a change of one of their files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    logs: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  tributary serve
  tributary serve -c /etc/tributary.toml --log-format json
  tributary serve --log debug";

pub(super) fn run(options: &Serve, out: &mut Output) -> Result<ExitStatus, CommandError> {
    // Dropped before anything else is printed, so that the last log lines come first.
    let flush = logs::start(&options.logs, out)?;
    let config = options.config.clone();
    let program = Arc::new(config.check()?);
    let options = server::Options {
        shutdown: CancellationToken::new(),
        signals: true,
        reload: Some(Box::new(move || config.check_again())),
        log: Some(Arc::clone(flush.tally())),
        bound: Box::new(server::Bound::log),
    };
    server::run(program, options)
        .map_err(|err| CommandError::failed(format_args!("can't serve: {err}")))?;
    Ok(ExitStatus::Done)
}
