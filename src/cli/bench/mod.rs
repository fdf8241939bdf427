//! `tributary bench`: puts a server under load and measures it.
//!
//! In: a method, its parameters and a schedule. Out: calls per second, latencies, errors by kind, and the server's CPU per
//! call if it runs on this machine. One event loop makes all calls, so the load uses at most one core. Measurements are
//! the difference of two snapshots: at the end of the warm-up and at the end.

mod calls; // calls as bytes, encoded once
mod schedule; // when which call is due
mod load; // what all connections share
mod connection; // one connection: sends due calls, receives and checks replies
mod check; // whether a reply is right
mod tally; // latencies, errors and totals
mod usage; // CPU and memory of a process
mod result; // two snapshots as text and JSON

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::calls::EncodedCalls;
use self::check::Checker;
use self::connection::Connection;
use self::load::{Destination, ForeignServer, Load};
use self::result::Measured;
use self::schedule::Schedule;
use self::tally::{Of, Snapshot, Tally};
use self::usage::Process;
use super::call::{CallArgs, CallOptions};
use super::client::{ClientError, foreign};
use super::connect::{Target, on_loop};
use super::error::CommandError;
use super::exit::ExitStatus;
use super::method::ResolvedMethod;
use super::output::Output;

/// Put a server under load: calls per second, latencies, errors, CPU per call
///
/// Without `--rate` every connection makes its next call when a reply arrives (closed loop). With `--rate` calls are
/// due on a schedule, and their latency counts from then, whether or not a connection was free to send them
/// (open loop); those that no connection was free to send until the end count as errors. Each reply's message type, name
/// and sequence id are checked. Ctrl-C ends early and prints the results so far.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    #[command(flatten)]
    call: CallArgs,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// Calls in flight per connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=128))]
    pipeline: u32,
    /// How long to measure, after the warm-up [default: 10s, or as long as `--requests` takes]
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// How long to make calls before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Calls per second, over all connections
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// How many calls to measure
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// The server's process on this machine, to measure its CPU per call and its memory
    #[arg(long, value_name = "P")]
    pid: Option<u32>,
    /// Decode every reply and compare it, except its report, with the first one for the same parameters
    #[arg(long)]
    verify: bool,
    /// Parameters from a file, one JSON object per line, used in turn
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "params", "request_id"])]
    json_lines: Option<PathBuf>,
    /// How to print the results
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ResultFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

const EXAMPLES: &str = "\
Examples:
  tributary bench getAirport code=JFK
  tributary bench --connections 64 -d 30s --pid $(pidof tributary) getAirport --json-lines codes.jsonl
  tributary bench --connections 100 --rate 5000 --format json getAirport code=JFK

Exit codes: 0 every call was answered, 1 there were errors, 2 bad usage";

const DURATION: Duration = Duration::from_secs(10);
/// What calls are counted as that were due and could not be sent before the end.
const MISSED: &str = "not sent: no connection was free until the end";

pub(super) fn run(options: &Bench, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let mut args = options.call.clone();
    args.idl.refuse_number_as_config()?;
    let found = args.find()?;
    if found.method().oneway {
        let name = &found.method().name;
        let message = format!("`{name}` is oneway: there is no reply to measure");
        return Err(CommandError::misuse(message).help("choose a method that returns"));
    }
    let params = match &options.json_lines {
        Some(path) => calls::read_lines(&found, path)?,
        None => {
            args.read_stdin()?;
            vec![args.params(&found, CallOptions::default())?]
        }
    };
    let target = args.connect.calling()?;
    let calls = EncodedCalls::encode(&found, (target.wire_format, &target.headers), &params)?;
    let server = options.pid.map(Process::find).transpose()?;
    let title = options.title(&found, args.connect.addr());
    let target = options.destination(target);
    let measured = on_loop(options.measure((found, target), calls, server))??;
    match options.format {
        ResultFormat::Text => out.data(&measured.text(&title)),
        ResultFormat::Json => out.data(&format!("{:#}", measured.json(&title, &options.asked()))),
    }
    Ok(measured.report_errors(out))
}

impl Bench {
    /// `getAirport at 127.0.0.1:9090, 64 connections, closed loop`
    fn title(&self, found: &ResolvedMethod, addr: &str) -> String {
        let method = &found.method().name;
        let connections = super::output::count(self.connections as usize, "connection");
        let pipeline = match self.pipeline {
            1 => String::new(),
            calls => format!(" of {calls} calls"),
        };
        let way = match self.rate {
            Some(rate) => format!("{rate} calls per second"),
            None => "closed loop".into(),
        };
        format!("{method} at {addr}, {connections}{pipeline}, {way}")
    }

    /// The requested load, for programs.
    fn asked(&self) -> Json {
        json!({
            "loop": if self.rate.is_some() { "open" } else { "closed" },
            "connections": self.connections,
            "pipeline": self.pipeline,
            "rate": self.rate,
            "warmup_seconds": self.warmup.as_secs_f64(),
            "verified": self.verify,
        })
    }

    fn destination(&self, target: Target) -> Destination {
        Destination {
            dialer: target.dialer,
            wire_format: target.wire_format,
            timeout: self.call.connect.timeout,
            pipeline: self.pipeline as usize,
        }
    }

    /// Opens all connections, then makes the calls.
    async fn measure(
        &self,
        (found, target): (ResolvedMethod, Destination),
        calls: EncodedCalls,
        server: Option<Process>,
    ) -> Result<Measured, CommandError> {
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            let connected = target.connect().await;
            streams.push(connected.map_err(|source| ClientError::Connect {
                addr: target.dialer.addr.clone(),
                source,
            })?);
        }
        let duration = match (self.duration, self.requests) {
            (None, None) => Some(DURATION),
            (duration, _) => duration,
        };
        let measured_from = Instant::now() + self.warmup;
        let load = Rc::new(Load {
            checker: Checker::new(found, target.wire_format.protocol, self.verify),
            target,
            calls,
            schedule: Schedule::new(measured_from - self.warmup, measured_from)
                .until(duration.map(|duration| measured_from + duration))
                .at_rate(self.rate)
                .limit(self.requests),
            tally: Tally::default(),
            server,
            foreign: ForeignServer::default(),
        });
        let mut running = JoinSet::new();
        for (at, stream) in streams.into_iter().enumerate() {
            running.spawn_local(Connection::new(Rc::clone(&load), stream, at).run());
        }
        let (first, last) = watch(&load, running).await?;
        let measured = Measured::new(&first, &last, load.tally.take());
        Ok(match self.requests {
            Some(_) => measured.by_count(),
            None => measured,
        })
    }
}

/// Takes a snapshot at the end of the warm-up and one when the time is over; returns when the last reply has arrived.
async fn watch(
    load: &Load,
    mut running: JoinSet<()>,
) -> Result<(Snapshot, Snapshot), CommandError> {
    let interrupt = tokio::signal::ctrl_c();
    let (addr, may_be_probed) = (&load.target.dialer.addr, load.target.dialer.may_be_probed());
    // Connections run on for long without another turn of the loop below, so that it can't say when the first answer is there.
    let foreign = foreign(addr, || !load.tally.has_received());
    tokio::pin!(interrupt, foreign);
    // Without a warm-up immediately: a timer may be a millisecond late.
    let measured_from = load.schedule.measured_from();
    let mut first = (measured_from <= Instant::now()).then(|| load.snapshot());
    let mut last = None;
    let end = load.schedule.end();
    loop {
        tokio::select! {
            () = sleep_until(measured_from), if first.is_none() => first = Some(load.snapshot()),
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() && last.is_none() => {
                last = Some(load.snapshot());
            }
            joined = running.join_next() => match joined {
                Some(joined) => joined.map_err(|err| CommandError::failed(format_args!("a connection's task ended: {err}")))?,
                None => {
                    load.tally.failed(MISSED, load.schedule.missed(), Of::Measurement);
                    break;
                }
            },
            foreign = load.foreign.seen() => {
                return Err(ClientError::foreign(addr.clone(), foreign).into());
            }
            foreign = &mut foreign, if may_be_probed => {
                return Err(ClientError::foreign(addr.clone(), foreign).into());
            }
            _interrupted = &mut interrupt => break,
        }
    }
    let last = last.unwrap_or_else(|| load.snapshot());
    // If it ended during the warm-up, nothing was measured.
    Ok((first.unwrap_or_else(|| last.clone()), last))
}

#[cfg(test)]
mod tests;
