//! Hands calls that ended to the recorder, which takes some of them for operators.
//!
//! Whether it wants a call is decided when the call's view has run, so that only the timeline of such a call is copied. It
//! is taken once the reply is written and its length of time is known. A call that fails in between, as one whose reply is
//! too long, is taken without its lookups.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::call::{Call, Recording, Taken};
use super::context;
use crate::context::{Mode, Trace};
use crate::error::Code;
use crate::metrics::Served;
use crate::recorder::{AccessEntry, CallRecorder, CallValues, Ended, Ending, Outcome};
use crate::timeline::Timeline;

/// The view of `call` ran, which has this place in a trace. `failed`: the call failed, or its reply is partial. `values` are
/// written only if the configuration asks for them.
pub(super) fn view_ran(
    recorder: &CallRecorder,
    call: &Call,
    (timeline, trace): (&Timeline, Option<Arc<Trace>>),
    failed: bool,
    values: impl FnOnce() -> CallValues,
) {
    let ending = Ending {
        arrived: call.arrived,
        took: timeline.elapsed,
        failed,
        trace: trace.as_deref(),
        watched: call.watched().is_some(),
    };
    call.recording
        .set(match recorder.wants(&call.plan, ending) {
            Some(wanted) => Recording::Wanted(Box::new(Taken {
                wanted,
                failed,
                timeline: timeline.clone(),
                trace,
                values: recorder.takes_values(wanted).then(values),
            })),
            None => Recording::Unwanted { failed, trace },
        });
}

/// `call` has its reply or its exception.
#[inline]
pub(super) fn ended(
    recorder: &CallRecorder,
    call: &Call,
    ended: Result<Served, Code>,
    elapsed: Duration,
) {
    let outcome = match ended {
        Ok(Served::Whole) => Outcome::Ok,
        Ok(Served::Partial) => Outcome::Partial,
        Err(code) => Outcome::Failed(code),
    };
    take(recorder, call, outcome, elapsed);
}

/// `call` is dropped before it has a reply: its connection ended.
#[cold]
fn hung_up(recorder: &CallRecorder, call: &Call) {
    take(recorder, call, Outcome::HungUp, call.arrived.elapsed());
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if !self.in_flight.has_ended()
            && let Some(recorder) = self.in_flight.recorder()
        {
            hung_up(recorder, self);
        }
    }
}

/// Takes `call` if it is wanted.
#[inline]
fn take(recorder: &CallRecorder, call: &Call, outcome: Outcome, elapsed: Duration) {
    let has_reply = matches!(outcome, Outcome::Ok | Outcome::Partial);
    let recording = call.recording.take();
    recorder.access(|| entry(call, &recording, outcome, elapsed));
    let taken = match recording {
        Recording::Unwanted { failed, .. } if failed || has_reply => return,
        Recording::Wanted(taken) => Some(*taken).map(|mut taken| {
            // What was wanted of a call that went well is not all that is wanted of one that failed after that.
            if !has_reply && !taken.failed {
                let again =
                    recorder.wants(&call.plan, failed(call, elapsed, taken.trace.as_deref()));
                taken.wanted = taken.wanted.or(again.unwrap_or_default());
            }
            taken
        }),
        // It failed after that.
        Recording::Unwanted { trace, .. } => without_lookups(recorder, call, elapsed, trace),
        // It failed before that, as with parameters that can't be decoded.
        Recording::NoView => {
            let trace = recorder.begin(|| context::parent(call, None));
            without_lookups(recorder, call, elapsed, trace)
        }
    };
    let Some(taken) = taken else {
        return;
    };
    let ended = Ended {
        outcome,
        caller: call.caller_name(),
        peer: call.peer(),
        request_id: call.request_id().map(Arc::from),
        trace: taken.trace.map(|trace| *trace),
        took: elapsed,
        timeline: taken.timeline,
        why: call.why.get().cloned(),
        values: taken.values,
    };
    let id = recorder.keep(&call.plan, taken.wanted, ended);
    if let (Some(watched), Some(id)) = (call.watched(), id) {
        watched.id.get_or_init(|| id);
    }
}

/// What the access log gets of a call.
fn entry(call: &Call, recording: &Recording, outcome: Outcome, took: Duration) -> AccessEntry {
    let trace = match recording {
        Recording::NoView => None,
        Recording::Unwanted { trace, .. } => trace.as_ref(),
        Recording::Wanted(taken) => taken.trace.as_ref(),
    };
    let why = call
        .why
        .get()
        .filter(|_| matches!(outcome, Outcome::Failed(_)));
    AccessEntry {
        at: SystemTime::now(),
        method: Arc::clone(&call.plan.label),
        outcome,
        cause: why.and_then(|why| why.cause),
        lookup: why.and_then(|why| why.lookup.clone()),
        took: took.into(),
        caller: call.caller_name(),
        peer: call.peer(),
        request_id: call.request_id().map(Arc::from),
        trace: trace.map(|trace| trace.id),
    }
}

/// The end of a call that failed only now.
#[cold]
fn failed<'c>(call: &Call, elapsed: Duration, trace: Option<&'c Trace>) -> Ending<'c> {
    let now = Instant::now();
    Ending {
        arrived: now.checked_sub(elapsed).unwrap_or(now),
        took: elapsed.into(),
        failed: true,
        trace,
        watched: call.watched().is_some(),
    }
}

/// What is taken of a call that failed and of whose lookups nothing is known.
#[cold]
fn without_lookups(
    recorder: &CallRecorder,
    call: &Call,
    elapsed: Duration,
    trace: Option<Arc<Trace>>,
) -> Option<Taken> {
    let wanted = recorder.wants(&call.plan, failed(call, elapsed, trace.as_deref()))?;
    let timeline = Timeline {
        mode: Mode::Evented,
        lanes: Arc::default(),
        tracks: Vec::new(),
        elapsed: elapsed.into(),
        endpoints: None,
    };
    Some(Taken {
        wanted,
        failed: true,
        timeline,
        trace,
        values: None,
    })
}
