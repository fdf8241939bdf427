//! Writes one line to the log for a call that fails, is partial or slow, or belongs to the sample.
//!
//! Lines of calls that end alike are limited, per method, code and cause, so that an outage does not fill the log. Parameters and
//! results are written only if `log.values` asks for them. A failure that somebody has to act on is a warning.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tracing::{info, warn};

use super::call::{Ending, FailedBy, Outcome, RecordedCall};
use super::sampler::Sampler;
use super::values::CallValues;
use crate::config::CallLines;
use crate::error::{Code, Fault};
use crate::log_limit::LogLimit;
use crate::timeline::{Micros, Track};

/// Further lookups are only counted.
const LOOKUPS_BYTES_MAX: usize = 2048;

/// The line of a call, at one of two levels: a level has to be known when it is compiled.
macro_rules! line {
    ($level:ident, $call:ident, $suppressed:ident, $failed:ident, $values:ident) => {{
        let call = $call;
        let (outcome, code) = match call.outcome {
            Outcome::Failed(code) => ("failed", Some(code.as_str())),
            other => (other.as_str(), None),
        };
        let trace_id = call.trace.map(|trace| format!("{:032x}", trace.id));
        let failed = $failed;
        $level!(
            method = &*call.method,
            outcome,
            code,
            cause = failed.and_then(|by| by.cause).map(Code::as_str),
            lookup = failed.and_then(|by| by.lookup.as_deref()),
            detail = failed.and_then(|by| by.detail.as_deref()),
            took_us = call.took.get(),
            own_us = own(call).get(),
            lookups = lookups(call).as_deref(),
            // As text, so that a name with a space is in quotes.
            caller = &*call.caller.to_string(),
            request_id = call.request_id.as_deref(),
            trace_id = trace_id.as_deref(),
            peer = peer(call.peer).as_deref(),
            params = $values.map(|of| &*of.params),
            result = $values.and_then(|of| of.result.as_deref()),
            suppressed = $suppressed,
            "call ended"
        );
    }};
}

/// The lines of one loop.
#[derive(Debug)]
pub(super) struct Lines {
    slow: Micros,
    values: bool,
    sample: Option<Sampler>,
    /// By [`Plan::index`](crate::plan::Plan::index).
    methods: Vec<LogLimit<Why>>,
}

/// Why a call gets a line. Calls of one method with the same reason are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// With the code of the lookup that failed, if one did.
    Failed(Code, Option<Code>),
    Partial,
    HungUp,
    Slow,
}

impl Lines {
    pub(super) fn new(config: CallLines, methods: usize) -> Self {
        Lines {
            slow: config.slow.into(),
            values: config.values,
            sample: (config.sampled > 0).then(|| Sampler::new(config.sampled)),
            methods: (0..methods).map(|_| LogLimit::default()).collect(),
        }
    }

    /// Whether a call that ends so may get a line.
    pub(super) fn wants(&self, ending: Ending<'_>) -> bool {
        let sample = self.sample.as_ref();
        let sampled = sample.is_some_and(|sample| sample.takes(ending.at()));
        sampled || ending.failed || ending.took >= self.slow
    }

    /// Whether lines have parameters and results.
    pub(super) fn has_values(&self) -> bool {
        self.values
    }

    /// Writes the line of a call, unless too many like it were written.
    pub(super) fn write(
        &self,
        method: usize,
        call: &RecordedCall,
        (failed, values): (Option<&FailedBy>, Option<&CallValues>),
    ) {
        let why = match call.outcome {
            Outcome::Failed(code) => Some(Why::Failed(code, failed.and_then(|by| by.cause))),
            Outcome::Partial => Some(Why::Partial),
            Outcome::HungUp => Some(Why::HungUp),
            Outcome::Ok if call.took >= self.slow => Some(Why::Slow),
            // The sample has a rate of its own.
            Outcome::Ok => None,
        };
        let suppressed = match why {
            Some(why) => self.methods[method].allow(why),
            None => Some(0),
        };
        let Some(suppressed) = suppressed else {
            return;
        };
        let values = values.filter(|_| self.values);
        if matches!(call.outcome, Outcome::Failed(code) if is_for_people(code)) {
            line!(warn, call, suppressed, failed, values);
        } else {
            line!(info, call, suppressed, failed, values);
        }
    }
}

/// Whether somebody has to act on a call that fails with this code. Clients answer for their own mistakes, and the guards report stores; an overloaded server
/// refuses many calls.
pub fn is_for_people(code: Code) -> bool {
    matches!(code.fault(), Fault::Server | Fault::Operator) && code != Code::ServerOverloaded
}

/// The time that the call took besides waiting for its lookups.
fn own(call: &RecordedCall) -> Micros {
    let tracks = &call.timeline.tracks;
    let began = tracks.first().map(|first| first.planned);
    let ended = tracks.iter().map(|track| track.done).max();
    let waited = began.zip(ended).map(|(began, ended)| ended.minus(began));
    call.took.minus(waited.unwrap_or(Micros::ZERO))
}

/// What became of each lookup: `here=ok 1203us, gone=error:lookup.timeout 50000us, late=skipped`. `None` if its view did
/// not run.
fn lookups(call: &RecordedCall) -> Option<String> {
    let timeline = &call.timeline;
    let mut text = String::new();
    for (at, (lane, track)) in timeline.lanes.iter().zip(&timeline.tracks).enumerate() {
        if text.len() > LOOKUPS_BYTES_MAX {
            let _infallible = write!(text, ", +{}", timeline.tracks.len() - at);
            break;
        }
        if at > 0 {
            text.push_str(", ");
        }
        add(&mut text, &lane.name, track);
    }
    (!text.is_empty()).then_some(text)
}

fn add(text: &mut String, name: &str, track: &Track) {
    let _infallible = write!(text, "{name}={}", track.fate.as_str());
    if let Some(code) = track.code {
        let _infallible = write!(text, ":{}", code.as_str());
    }
    if track.started.is_some() {
        let _infallible = write!(text, " {}us", track.run_time().get());
    }
}

/// The other end of the connection; `None` if that is a process on this machine, or not known.
fn peer(addr: Option<SocketAddr>) -> Option<String> {
    addr.map(|addr| addr.to_string())
}
