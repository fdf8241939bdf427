//! Shows the calls that are kept: `GET /calls`, `GET /calls/ID` and `GET /gains`, as JSON.
//!
//! `/calls` takes `list=recent|failed|slowest`, `method=`, `outcome=`, `caller=`, `slower=50ms` and `limit=`. A single call
//! is also written as OTLP JSON or as a trace for Chrome and Perfetto: `format=otlp|perfetto`.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value as Json, json};

use super::call_json::{call_json, otlp, perfetto};
use super::query;
use crate::diagnostic::suggest;
use crate::recorder::{FASTER, Gains, List, Outcome, RecordedCall, Recorder};

/// Why a request is refused.
type Refused = (StatusCode, String);

/// How many calls a list has unless `limit` says otherwise.
const LIMIT: usize = 100;

/// Which calls are wanted.
#[derive(Debug)]
struct Filter {
    list: List,
    method: Option<String>,
    outcome: Option<String>,
    caller: Option<String>,
    slower: Option<Duration>,
    limit: usize,
}

impl Filter {
    fn read(query: &str) -> Result<Self, String> {
        let mut filter = Filter {
            list: List::Recent,
            method: None,
            outcome: None,
            caller: None,
            slower: None,
            limit: LIMIT,
        };
        for (name, value) in query::pairs(query)? {
            match name {
                "list" => {
                    filter.list = match &*value {
                        "recent" => List::Recent,
                        "failed" => List::Failed,
                        "slowest" => List::Slowest,
                        _ => return Err("`list` is recent, failed or slowest".into()),
                    };
                }
                "method" => filter.method = Some(value),
                "outcome" => {
                    if !Outcome::is_word(&value) {
                        let why = "`outcome` is ok, partial, failed, hung_up or an error code";
                        return Err(why.into());
                    }
                    filter.outcome = Some(value);
                }
                "caller" => filter.caller = Some(value),
                "slower" => {
                    let slower = humantime::parse_duration(&value);
                    let slower = slower.map_err(|_| "`slower` is a duration: 50ms")?;
                    filter.slower = Some(slower);
                }
                "limit" => filter.limit = value.parse().map_err(|_| "`limit` is a number")?,
                _ => {
                    return Err(format!(
                        "`{name}` is not known here: list, method, outcome, caller, slower and limit are"
                    ));
                }
            }
        }
        Ok(filter)
    }

    fn takes(&self, call: &RecordedCall) -> bool {
        let is = |wanted: &Option<String>, have: &str| {
            wanted.as_ref().is_none_or(|wanted| *wanted == *have)
        };
        is(&self.method, &call.method)
            && (self.outcome.as_ref()).is_none_or(|wanted| call.outcome.is(wanted))
            && is(&self.caller, &call.caller.to_string())
            && self
                .slower
                .is_none_or(|least| Duration::from(call.took) >= least)
    }
}

/// Refuses a method that is not served: an empty answer would look like one without calls.
fn check_method(method: Option<&String>, methods: &[String]) -> Result<(), Refused> {
    let Some(name) = method.filter(|name| !methods.contains(name)) else {
        return Ok(());
    };
    // The rest are names of groups in metrics.
    let served = methods.iter().map(|of| &**of);
    let served = served.filter(|of| !of.starts_with('_'));
    let help = suggest(name, served, || "there are none".into());
    let why = format!("there is no method `{name}`: {help}");
    Err((StatusCode::NOT_FOUND, why))
}

/// `/calls`; `methods` are those that the server knows.
pub(super) fn list(recorder: &Recorder, methods: &[String], query: &str) -> Result<Json, Refused> {
    let filter = Filter::read(query).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    check_method(filter.method.as_ref(), methods)?;
    let calls = recorder.list(filter.list).into_iter();
    let calls = calls.filter(|call| filter.takes(call)).take(filter.limit);
    let calls: Vec<Json> = calls.map(|call| call_json(&call)).collect();
    Ok(json!({ "calls": calls }))
}

/// `/calls/ID`
pub(super) fn one(recorder: &Recorder, id: &str, query: &str) -> Result<Json, Refused> {
    let bad = |why: String| (StatusCode::BAD_REQUEST, why);
    let pairs = query::pairs(query).map_err(bad)?;
    let format = match &pairs[..] {
        [] => "json",
        [("format", format)] => &**format,
        _ => return Err(bad("only `format` is known here".into())),
    };
    let write = match format {
        "json" => call_json,
        "otlp" => otlp,
        "perfetto" => perfetto,
        _ => return Err(bad("`format` is json, otlp or perfetto".into())),
    };
    let call = recorder.find(id);
    let call = call.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no call `{id}` is kept")))?;
    Ok(write(&call))
}

/// `/gains`
pub(super) fn gains(recorder: &Recorder, methods: &[String], query: &str) -> Result<Json, Refused> {
    let bad = |why: String| (StatusCode::BAD_REQUEST, why);
    let pairs = query::pairs(query).map_err(bad)?;
    let wanted = match &pairs[..] {
        [] => None,
        [("method", method)] => Some(method),
        _ => return Err(bad("only `method` is known here".into())),
    };
    check_method(wanted, methods)?;
    let all = recorder.gains().into_iter();
    let methods = all.filter(|(method, _)| wanted.is_none_or(|wanted| **method == **wanted));
    let methods: Vec<Json> = methods.map(|(name, of)| gains_json(&name, &of)).collect();
    Ok(json!({ "faster_us": FASTER.get(), "methods": methods }))
}

/// What the sample says of one method. Times are those of an average call.
pub(super) fn gains_json(method: &str, gains: &Gains) -> Json {
    let calls = gains.calls.max(1);
    let lookups = gains.lookups.iter().map(|of| {
        json!({
            "name": &*of.name,
            "backend": &*of.backend,
            "decided": of.decided,
            "critical": of.critical,
            "run_us": of.ran / calls,
            "gain_us": of.gained / calls,
        })
    });
    json!({
        "method": method,
        "calls": gains.calls,
        "mean_us": gains.took / calls,
        "lookups": lookups.collect::<Vec<Json>>(),
    })
}
