//! Writes a call that ended as one line of the access log: text or JSON. Pure.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::Code;
use crate::recorder::{AccessEntry, Caller, Outcome};

/// The length of a time without its fraction.
const SECONDS_LEN: usize = "2026-11-30T08:00:00".len();

/// Writes times. Most are in the same second as the one before, whose digits are kept.
#[derive(Default)]
pub(super) struct Clock {
    second: u64,
    text: String,
}

impl Clock {
    /// `2026-11-30T08:00:00.000000Z`
    pub(super) fn text(&mut self, at: SystemTime) -> &str {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second || self.text.is_empty() {
            self.second = since.as_secs();
            let second = UNIX_EPOCH + Duration::from_secs(self.second);
            self.text = humantime::format_rfc3339_seconds(second).to_string();
        }
        // Up to the second, without the final `Z` of then or the fraction of the last time.
        self.text.truncate(SECONDS_LEN);
        let written = write!(self.text, ".{:06}Z", since.subsec_micros());
        written.expect("a string takes what is written to it");
        &self.text
    }
}

fn outcome(entry: &AccessEntry) -> (&'static str, Option<&'static str>) {
    match entry.outcome {
        Outcome::Failed(code) => ("failed", Some(code.as_str())),
        other => (other.as_str(), None),
    }
}

/// `2026-11-30T08:00:00.000000Z get ok 1203us 127.0.0.1:4711 web`, then `code=`, `cause=`, `lookup=`,
/// `request_id=` and `trace_id=`, if any.
pub(super) fn plain(text: &mut String, entry: &AccessEntry, at: &str) -> fmt::Result {
    let (word, code) = outcome(entry);
    let (method, took) = (&entry.method, entry.took.get());
    write!(text, "{at} {method} {word} {took}us ")?;
    match entry.peer {
        Some(peer) => write!(text, "{peer}")?,
        None => text.push_str("unix"),
    }
    match &entry.caller {
        Caller::Named(name) => write!(text, " {name:?}")?,
        caller @ Caller::Connection(_) => write!(text, " \"{caller}\"")?,
    }
    if let Some(code) = code {
        write!(text, " code={code}")?;
    }
    if let Some(cause) = entry.cause {
        write!(text, " cause={cause}")?;
    }
    if let Some(lookup) = &entry.lookup {
        write!(text, " lookup={lookup}")?;
    }
    if let Some(id) = &entry.request_id {
        write!(text, " request_id={id:?}")?;
    }
    if let Some(trace) = entry.trace {
        write!(text, " trace_id={trace:032x}")?;
    }
    Ok(())
}

/// The same as one JSON object.
pub(super) fn json(text: &mut String, entry: &AccessEntry, at: &str) -> fmt::Result {
    let (word, code) = outcome(entry);
    let line = JsonLine {
        time: at,
        method: &entry.method,
        outcome: word,
        code,
        cause: entry.cause.map(Code::as_str),
        lookup: entry.lookup.as_deref(),
        took_us: entry.took.get(),
        peer: entry.peer,
        caller: entry.caller.to_string(),
        request_id: entry.request_id.as_deref(),
        trace_id: entry.trace.map(|trace| format!("{trace:032x}")),
    };
    let line = serde_json::to_string(&line).map_err(|_err| fmt::Error)?;
    text.push_str(&line);
    Ok(())
}

/// A line as JSON.
#[derive(Serialize)]
struct JsonLine<'e> {
    time: &'e str,
    method: &'e str,
    outcome: &'static str,
    code: Option<&'static str>,
    cause: Option<&'static str>,
    lookup: Option<&'e str>,
    took_us: u64,
    peer: Option<SocketAddr>,
    caller: String,
    request_id: Option<&'e str>,
    trace_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Micros;

    fn entry(outcome: Outcome) -> AccessEntry {
        AccessEntry {
            at: SystemTime::UNIX_EPOCH,
            method: "get".into(),
            outcome,
            cause: None,
            lookup: None,
            took: Micros::new(1203),
            caller: Caller::Connection(7),
            peer: Some(([127, 0, 0, 1], 4711).into()),
            request_id: Some("a \"b\"\n".into()),
            trace: Some(0xab),
        }
    }

    fn line(
        write: fn(&mut String, &AccessEntry, &str) -> fmt::Result,
        entry: &AccessEntry,
    ) -> String {
        let mut text = String::new();
        let mut clock = Clock::default();
        write(&mut text, entry, clock.text(entry.at)).expect("it is written");
        text
    }

    #[test]
    fn a_clock_writes_what_is_true_in_any_order() {
        let mut clock = Clock::default();
        for micros in [
            0,
            1,
            999_999,
            1_000_000,
            1_000_000,
            86_400_000_000,
            5,
            1_796_055_457_000_123,
        ] {
            let at = UNIX_EPOCH + Duration::from_micros(micros);
            let expected = humantime::format_rfc3339_micros(at).to_string();
            assert_eq!(clock.text(at), expected);
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_the_client_calls_it() {
        let line_of = line;
        let line = line_of(plain, &entry(Outcome::Failed(Code::CallDeadline)));
        let expected = "1970-01-01T00:00:00.000000Z get failed 1203us 127.0.0.1:4711 \"connection 7\" code=call.deadline \
             request_id=\"a \\\"b\\\"\\n\" trace_id=000000000000000000000000000000ab";
        assert_eq!(line, expected);
        let of_lookup = AccessEntry {
            cause: Some(Code::LookupTimeout),
            lookup: Some("plane".into()),
            ..entry(Outcome::Failed(Code::CallRequiredFailed))
        };
        let named = "code=call.required_failed cause=lookup.timeout lookup=plane request_id=";
        assert!(line_of(plain, &of_lookup).contains(named));
        let local = AccessEntry {
            peer: None,
            request_id: None,
            trace: None,
            ..entry(Outcome::Partial)
        };
        assert!(line_of(plain, &local).ends_with(" get partial 1203us unix \"connection 7\""));
        let json: serde_json::Value =
            serde_json::from_str(&line_of(json, &entry(Outcome::Ok))).expect("JSON");
        assert_eq!(
            (&json["outcome"], &json["code"]),
            (&"ok".into(), &serde_json::Value::Null)
        );
        assert_eq!(
            (&json["took_us"], &json["request_id"]),
            (&1203.into(), &"a \"b\"\n".into())
        );
    }
}
