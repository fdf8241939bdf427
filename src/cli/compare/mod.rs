//! `tributary compare`: makes the same call serially and with concurrent lookups, and draws both on one time scale.
//!
//! The two kinds of calls alternate on one connection, so that both meet the same caches and the same load. All replies
//! have to be equal except for their reports.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::call::{CallArgs, CallOptions, at_service, can_report};
use super::client::{Client, MethodCall, MethodReply};
use super::connect::on_loop;
use super::error::CommandError;
use super::exit::ExitStatus;
use super::method::ResolvedMethod;
use super::output::{Output, count};
use super::reply;
use crate::context::Mode;
use crate::timeline::{Analysis, Look, Timeline, render_together};
use crate::value::Value;

/// Compare a call with its lookups one at a time with the same call with all of them at once
///
/// The method needs a `tributary.Context` parameter and a `tributary.Report` in its reply. Draws the median call of
/// each mode, and prints how much faster one was, how much is possible, and whether the replies are equal.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Compare {
    #[command(flatten)]
    call: CallArgs,
    /// Calls in each mode
    #[arg(short = 'n', long = "calls", value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
}

const EXAMPLES: &str = "\
Examples:
  tributary compare getDeparture carrier=UA flight=1545 day=2013-01-01 origin=EWR dest=IAH hour=5
  tributary compare -n 20 --addr db1:9090 getDeparture --json -

Exit codes: 0 all replies are equal, 1 they differ or a call failed, 2 bad usage";

pub(super) fn run(options: &Compare, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let mut args = options.call.clone();
    let found = args.find()?;
    can_report(&found, "compare")?;
    args.read_stdin()?;
    let params = |mode| {
        let asked = CallOptions {
            report: true,
            mode: Some(mode),
        };
        args.params(&found, asked)
    };
    let params = [params(Mode::Serial)?, params(Mode::Evented)?];
    let server = args.connect.calling()?;
    let comparison = on_loop(async {
        let mut client = server.connect().await?;
        measure(
            &mut client,
            &found,
            &params,
            (options.calls, args.connect.timeout),
        )
        .await
    })??;
    Ok(match comparison {
        Measured::Threw(reply) => reply::show(&found, &reply, out),
        Measured::Both(comparison) => comparison.show(&found.method().name, out),
    })
}

/// The result of the calls.
pub(super) enum Measured {
    /// One of them threw this exception: there is nothing to compare.
    Threw(MethodReply),
    /// All returned a result.
    Both(Comparison),
}

/// The measurements of both modes.
#[derive(Debug)]
pub(super) struct Comparison {
    /// One lookup at a time.
    serial: Runs,
    /// All lookups at once.
    evented: Runs,
    /// The names of the fields that differ between the first reply and any other.
    differing: Vec<String>,
}

/// The calls in one mode: how long each took here, and the server's report. Never empty after measuring.
#[derive(Debug, Default)]
struct Runs(Vec<(Duration, Timeline)>);

/// Makes the calls, alternating between the modes. `params` are those of the serial and of the evented call.
pub(super) async fn measure(
    client: &mut Client,
    found: &ResolvedMethod,
    params: &[Value; 2],
    (calls, timeout): (u32, Duration),
) -> Result<Measured, CommandError> {
    let mut runs = [Runs::default(), Runs::default()];
    let mut first = None;
    let mut differing = Vec::new();
    for _ in 0..calls {
        for (params, runs) in params.iter().zip(&mut runs) {
            let call = MethodCall {
                schema: &found.schema,
                method: found.method(),
                service: found.prefix(),
                params,
                timeout,
            };
            let begun = Instant::now();
            let reply = client.call(&call).await;
            let wall = begun.elapsed();
            let reply = reply.map_err(|err| at_service(found, err))?;
            let MethodReply::Returned(value) = &reply else {
                return Ok(Measured::Threw(reply));
            };
            let Some(timeline) = reply::timeline(found, &reply) else {
                return Err(CommandError::failed("the reply has no report"));
            };
            runs.0.push((wall, timeline));
            // Compared as JSON, where a NaN equals a NaN.
            let plain = without_report(found, value);
            differences(
                first.get_or_insert_with(|| plain.clone()),
                &plain,
                &mut differing,
            );
        }
    }
    let [mut serial, mut evented] = runs;
    serial.0.sort_by_key(|(wall, _)| *wall);
    evented.0.sort_by_key(|(wall, _)| *wall);
    Ok(Measured::Both(Comparison {
        serial,
        evented,
        differing,
    }))
}

fn without_report(found: &ResolvedMethod, value: &Value) -> serde_json::Value {
    let mut json = reply::result_json(found, value);
    if let (Some(fields), Some(report)) = (json.as_object_mut(), found.report_field()) {
        fields.shift_remove(report);
    }
    json
}

/// Adds the names of the fields in which `a` and `b` differ.
fn differences(a: &serde_json::Value, b: &serde_json::Value, into: &mut Vec<String>) {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return;
    };
    for name in a.keys().chain(b.keys()) {
        if a.get(name) != b.get(name) && !into.contains(name) {
            into.push(name.clone());
        }
    }
}

impl Runs {
    /// The median call; of an even number, the slower of the two in the middle.
    fn median(&self) -> &(Duration, Timeline) {
        &self.0[self.0.len() / 2]
    }

    fn line(&self, way: &str) -> String {
        let (calls, median) = (self.0.len(), length(self.median().0));
        if calls == 1 {
            return format!("{way:<22} {median}");
        }
        let (least, most) = (length(self.0[0].0), length(self.0[calls - 1].0));
        let calls = count(calls, "call");
        format!("{way:<22} median {median}, {least} to {most} in {calls}")
    }
}

impl Comparison {
    /// Draws both and prints the comparison.
    pub(super) fn show(&self, method: &str, out: &mut Output) -> ExitStatus {
        let (serial, evented) = (self.serial.median(), self.evented.median());
        let titles = [Mode::Serial, Mode::Evented].map(|mode| reply::title(method, mode));
        let look = Look {
            width: out.data_width(),
            color: out.data_color(),
            ..Look::default()
        };
        let pictures = [
            (titles[0].as_str(), &serial.1),
            (titles[1].as_str(), &evented.1),
        ];
        out.data(&render_together(&pictures, &look));
        out.data(&format!("\n{}", self.words()));
        if self.differing.is_empty() {
            out.data("the replies are equal");
            ExitStatus::Done
        } else {
            out.error(
                &format!("the replies differ in `{}`", self.differing.join("`, `")),
                Some("does a store's data change, or do its answers vary?"),
            );
            ExitStatus::Failed
        }
    }

    fn words(&self) -> String {
        let (serial, evented) = (self.serial.median(), self.evented.median());
        let ratio = serial.0.as_secs_f64() / evented.0.as_secs_f64().max(f64::MIN_POSITIVE);
        // The serial call's lookups did not compete with each other, so they show best what is possible.
        let bound = Analysis::of(&serial.1).bound;
        let mut text = self.serial.line("one lookup at a time:");
        // Writing to a String can't fail.
        let _infallible = write!(
            text,
            "\n{}\nratio {ratio:.1}x; starting lookups together can gain about {bound:.1}x",
            self.evented.line("all at once:")
        );
        text
    }
}

/// A length of time in the unit in which it has three digits or more.
fn length(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{:.2} ms", time.as_secs_f64() * 1000.0),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
    }
}

#[cfg(test)]
mod tests;
