//! `tributary tap`: prints calls of a running server as they end.

use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use super::admin_port::AdminArgs;
use super::check::ConfigArg;
use super::error::CommandError;
use super::exit::ExitStatus;
use super::method::{refuse_config_as_method, suggestion};
use super::output::Output;
use crate::diagnostic::{list, nearest};
use crate::error::Code;

/// Print calls of a running server as they end
///
/// They come from the server's admin port. A busy server shows a sample: at most 30 calls per second. Parameters and results are
/// shown only with `--values`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tap {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    admin: AdminArgs,
    /// Only calls of this method
    #[arg(value_name = "METHOD")]
    method: Option<String>,
    /// Only calls that took at least so long
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    slower: Option<Duration>,
    /// Only calls with this outcome: ok, partial, failed, `hung_up`, or the code of a failure
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<String>,
    /// Only calls of this caller
    #[arg(long, value_name = "CALLER")]
    caller: Option<String>,
    /// How to print a call
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TapFormat,
    /// Also print parameters and results, if the server keeps them: `admin.calls_values`
    #[arg(long)]
    values: bool,
    /// Ends after so many calls
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  tributary tap
  tributary tap getDeparture --slower 50ms
  tributary tap --outcome partial --format json | jq .lookups";

/// The outcomes besides codes.
const OUTCOMES: [&str; 4] = ["ok", "partial", "hung_up", "failed"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TapFormat {
    /// A line: time, method, outcome, how long it took, the lookup that ended last, the caller, the request id
    #[default]
    Text,
    /// A JSON object on a line, with every lookup
    Json,
}

pub(super) fn run(options: &Tap, out: &mut Output) -> Result<ExitStatus, CommandError> {
    if let Some(method) = &options.method {
        refuse_config_as_method(method)?;
    }
    let port = options.admin.port(&options.config)?;
    let mut left = options.limit.unwrap_or(u64::MAX);
    let (mut is_watching, mut unknown) = (false, None);
    port.events(|event| {
        if !is_watching {
            unknown = options.unknown_method(event);
            if unknown.is_some() {
                return false;
            }
        }
        if event["records"] == false {
            out.note("no calls are kept: `admin.calls_kept` is 0");
            return false;
        }
        if !is_watching {
            out.note(&format!("watching {}", port.addr()));
            is_watching = true;
        }
        let calls = event["calls"].as_array().into_iter().flatten();
        // The first event has calls from before.
        let is_new = event["whole"] == false;
        let mut calls: Vec<&Json> = calls.filter(|call| is_new && options.takes(call)).collect();
        calls.sort_by_key(|call| call["started_us"].as_u64());
        for call in calls
            .into_iter()
            .take(usize::try_from(left).unwrap_or(usize::MAX))
        {
            left -= 1;
            match options.format {
                TapFormat::Text => out.data(&(line(call) + &options.values_of(call))),
                TapFormat::Json => out.data(&options.json(call).to_string()),
            }
        }
        left > 0
    })?;
    unknown.map_or(Ok(ExitStatus::Done), Err)
}

impl Tap {
    /// The call, without values unless they are asked for.
    fn json(&self, call: &Json) -> Json {
        let mut call = call.clone();
        if let (false, Json::Object(fields)) = (self.values, &mut call) {
            fields.retain(|name, _| name != "params" && name != "result");
        }
        call
    }

    /// ` params={"code":"JFK"} result={..}`, if they are asked for and kept.
    fn values_of(&self, call: &Json) -> String {
        let names = ["params", "result"].into_iter();
        let kept = names.filter_map(|name| Some((name, call[name].as_str()?)));
        let kept = kept.filter(|_| self.values);
        let shown: Vec<String> = kept.map(|(name, text)| format!(" {name}={text}")).collect();
        shown.concat()
    }

    /// The error about a method that the server does not have. The first event names all.
    fn unknown_method(&self, event: &Json) -> Option<CommandError> {
        let name = self.method.as_deref()?;
        let methods = event["methods"].as_array()?.iter();
        let methods: Vec<&str> = methods.filter_map(|of| of["method"].as_str()).collect();
        if methods.contains(&name) {
            return None;
        }
        let served = methods.into_iter().filter(|of| !of.starts_with('_'));
        let served: Vec<&str> = served.collect();
        let message = format!("the server has no method `{name}`");
        Some(CommandError::failed(message).help(suggestion(name, served.into_iter())))
    }

    fn takes(&self, call: &Json) -> bool {
        let is = |wanted: &Option<String>, key: &str| {
            wanted.as_ref().is_none_or(|wanted| call[key] == **wanted)
        };
        let took = call["took_us"].as_u64().map(Duration::from_micros);
        is(&self.method, "method")
            && self
                .outcome
                .as_deref()
                .is_none_or(|wanted| has_outcome(wanted, &call["outcome"]))
            && is(&self.caller, "caller")
            && self
                .slower
                .is_none_or(|least| took.is_some_and(|took| took >= least))
    }
}

/// A word of lists of calls, logs or the access log.
fn outcome(text: &str) -> Result<String, String> {
    if OUTCOMES.contains(&text) || Code::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let words = OUTCOMES.into_iter();
    let all = words
        .clone()
        .chain(Code::ALL.iter().map(|code| code.as_str()));
    let help = nearest(text, all).map(|near| format!("did you mean `{near}`? "));
    Err(format!(
        "{}an outcome is {}, or a code: `tributary manual error-codes` lists them",
        help.unwrap_or_default(),
        list(words)
    ))
}

/// Whether an outcome is the wanted one. Where logs say `failed` with a code, lists of calls have the code alone.
fn has_outcome(wanted: &str, outcome: &Json) -> bool {
    match wanted {
        "failed" => !["ok", "partial", "hung_up"]
            .map(Json::from)
            .contains(outcome),
        wanted => *outcome == *wanted,
    }
}

/// `2026-11-30T12:00:00.123Z getDeparture ok 12.345 ms, decided by plane, connection 7, request 42`
fn line(call: &Json) -> String {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let micros = |key: &str| call[key].as_u64().unwrap_or_default();
    let started = UNIX_EPOCH + Duration::from_micros(micros("started_us"));
    let mut lookups = call["lookups"].as_array().into_iter().flatten();
    let decider = lookups.rfind(|lookup| lookup["critical"] == true);
    let decider = decider.map(|lookup| format!(", decided by {}", text(&lookup["name"])));
    let id = call["request_id"].as_str();
    // What a client sends is one word of one line.
    let id = id.map(|id| format!(", request {}", id.escape_debug()));
    let took = micros("took_us");
    format!(
        "{} {} {} {}.{:03} ms{}, {}{}",
        humantime::format_rfc3339_millis(started),
        text(&call["method"]),
        text(&call["outcome"]),
        took / 1000,
        took % 1000,
        decider.unwrap_or_default(),
        text(&call["caller"]),
        id.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_a_line() {
        let call = json!({
            "method": "get", "outcome": "partial", "caller": "shop",
            "started_us": 1_764_504_000_123_456_u64, "took_us": 12_045,
            "lookups": [
                { "name": "a", "critical": true }, { "name": "b", "critical": true },
                { "name": "c", "critical": false },
            ],
        });
        let expected = "2025-11-30T12:00:00.123Z get partial 12.045 ms, decided by b, shop";
        assert_eq!(line(&call), expected);
        let call =
            json!({ "method": "get", "outcome": "ok", "caller": "shop", "request_id": "4\n2" });
        assert!(
            line(&call).ends_with("shop, request 4\\n2"),
            "{}",
            line(&call)
        );
    }

    #[test]
    fn an_outcome_is_a_word_of_lists_or_logs() {
        let takes = |wanted: &str, have: &str| {
            let wanted = outcome(wanted).expect("it is a word");
            has_outcome(&wanted, &have.into())
        };
        assert!(takes("ok", "ok") && takes("partial", "partial") && !takes("ok", "partial"));
        assert!(takes("failed", "call.deadline") && takes("call.deadline", "call.deadline"));
        assert!(!takes("failed", "ok") && !takes("failed", "partial"));
        let near = outcome("faild").expect_err("no such word");
        assert!(near.contains("did you mean `failed`?"), "{near}");
        let far = outcome("nonsense").expect_err("no such word");
        assert!(
            far.contains("`partial`") && far.contains("error-codes"),
            "{far}"
        );
    }
}
