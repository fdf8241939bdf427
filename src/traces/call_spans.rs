//! Makes the spans of a call from its timeline: one for the call, one for each of its phases, one for each lookup that ran.
//!
//! Lookups are children of the call and may overlap. One that needs the value of another has a link to it. Names are those
//! of the semantic conventions of OpenTelemetry where there are some. Pure.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use super::span::{Span, SpanKind};
use super::store;
use crate::context::{Propagation, Trace};
use crate::error::Fault;
use crate::recorder::{Caller, Outcome, RecordedCall};
use crate::timeline::{Analysis, Fate, Lane, Micros, Source, Track};

/// Makes spans one after the other, in the memory of the one before.
pub(super) struct SpanMaker<'c> {
    span: Span<'c>,
    analysis: Analysis,
}

impl<'c> SpanMaker<'c> {
    pub(super) fn new() -> Self {
        SpanMaker {
            span: Span::blank(),
            analysis: Analysis::default(),
        }
    }

    /// Passes the spans of `call` to `take`. That of the call itself is first.
    pub(super) fn each(&mut self, call: &'c RecordedCall, mut take: impl FnMut(&Span<'c>)) {
        self.analysis.renew(&call.timeline);
        let making = Making {
            call,
            trace: call.trace.unwrap_or_else(|| made_up(call)),
            began: u64::try_from(since_epoch(call).as_nanos()).unwrap_or(u64::MAX),
        };
        making.call(&mut self.span);
        take(&self.span);
        for (at, phase) in making.phases().into_iter().flatten().enumerate() {
            let (_, from, to) = phase;
            // One that took no time is left out.
            if to > from {
                making.phase(&mut self.span, at, phase);
                take(&self.span);
            }
        }
        let path = &self.analysis.critical_path;
        for (at, ran) in ran(call) {
            making.lookup(&mut self.span, at, ran, path.contains(&at));
            take(&self.span);
        }
    }
}

/// Without recorded traces a call that is looked at has a trace of its own.
fn made_up(call: &RecordedCall) -> Trace {
    let began = u64::try_from(since_epoch(call).as_micros())
        .unwrap_or(1)
        .max(1);
    Trace {
        id: u128::from(began) << 64 | u128::from(call.number),
        parent: None,
        span: began ^ (call.of_loop as u64).rotate_left(48),
        sampled: true,
        propagation: Propagation::default(),
    }
}

fn since_epoch(call: &RecordedCall) -> Duration {
    let since = call
        .started
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.unwrap_or_default()
}

/// A lookup that was started.
#[derive(Clone, Copy)]
struct Ran<'c> {
    lane: &'c Lane,
    track: &'c Track,
    started: Micros,
}

fn ran(call: &RecordedCall) -> impl Iterator<Item = (usize, Ran<'_>)> {
    let timeline = &call.timeline;
    let all = timeline.lanes.iter().zip(&timeline.tracks).enumerate();
    all.filter_map(|(at, (lane, track))| {
        let started = track.started?;
        Some((
            at,
            Ran {
                lane,
                track,
                started,
            },
        ))
    })
}

/// What all spans of a call share.
struct Making<'c> {
    call: &'c RecordedCall,
    trace: Trace,
    began: u64,
}

/// What a call did itself: its name, and from when to when.
type PhaseTime = (&'static str, Micros, Micros);

impl<'c> Making<'c> {
    fn at(&self, time: Micros) -> u64 {
        self.began.saturating_add(time.get().saturating_mul(1000))
    }

    /// Begins a child of the call's span, which has nothing but its time.
    fn begin(&self, span: &mut Span<'c>, id: u64, (from, to): (Micros, Micros)) {
        span.trace = self.trace.id;
        span.id = id;
        span.parent = Some(self.trace.span);
        span.is_remote = false;
        span.kind = SpanKind::Internal;
        (span.start, span.end) = (self.at(from), self.at(to.max(from)));
        span.attributes.clear();
        span.event = None;
        span.links.clear();
        span.failed = false;
    }

    fn call(&self, span: &mut Span<'c>) {
        let call = self.call;
        let service = call.about.service(call.service);
        let name = match service {
            Some(service) => format!("{service}/{}", call.called).into(),
            None => Cow::Borrowed(&*call.called),
        };
        let code = match call.outcome {
            Outcome::Failed(code) => Some(code),
            Outcome::Ok | Outcome::Partial | Outcome::HungUp => None,
        };
        self.begin(span, self.trace.span, (Micros::ZERO, call.took));
        span.parent = self.trace.parent;
        span.is_remote = self.trace.parent.is_some();
        span.kind = SpanKind::Server;
        span.text("rpc.system.name", "thrift");
        // The names of these before they became stable, for tools that read only those.
        span.text("rpc.system", "thrift");
        span.text("rpc.service", service.unwrap_or_default());
        span.text("rpc.method", name.clone());
        span.text("tributary.outcome", call.outcome.as_str());
        match &call.caller {
            Caller::Named(name) => span.text("tributary.caller", &**name),
            caller @ Caller::Connection(_) => span.text("tributary.caller", caller.to_string()),
        }
        span.text("tributary.mode", call.timeline.mode.as_str());
        span.int("fanout.size", call.timeline.tracks.len());
        if let Some(id) = call.request_id.as_deref().filter(|id| !id.is_empty()) {
            span.text("tributary.request_id", id);
        }
        if let Some(code) = code {
            span.text("error.type", code.as_str());
            // A mistake of the client is no failure of the server.
            span.failed = code.fault() != Fault::Client;
        }
        span.name = name;
    }

    /// What the call did itself. Nothing is known of a call whose view did not run.
    fn phases(&self) -> Option<[PhaseTime; 3]> {
        let timeline = &self.call.timeline;
        let began = timeline.tracks.first()?.planned;
        let ended = timeline.tracks.iter().map(|track| track.done).max()?;
        Some([
            ("decode parameters", Micros::ZERO, began),
            ("merge", ended, timeline.elapsed),
            ("write reply", timeline.elapsed, self.call.took),
        ])
    }

    fn phase(&self, span: &mut Span<'c>, at: usize, (name, from, to): PhaseTime) {
        self.begin(span, self.trace.phase_span(at), (from, to));
        span.name = Cow::Borrowed(name);
    }

    fn lookup(&self, span: &mut Span<'c>, at: usize, ran: Ran<'c>, critical: bool) {
        let Ran {
            lane,
            track,
            started,
        } = ran;
        let timeline = &self.call.timeline;
        let fallback = lane.answered_by(track);
        let backend = fallback.map_or(&lane.backend, |fallback| &fallback.backend);
        let store = self.call.about.store(backend);
        let id = self.trace.lookup_span(at);
        self.begin(span, id, (started, track.done));
        span.name = Cow::Borrowed(&*lane.name);
        let is_kept = matches!(track.source, Source::Cache | Source::Stale);
        if !is_kept {
            span.kind = store::kind(store);
        }
        if let Some(store) = store {
            store::describe(span, store, timeline.endpoint(at));
        }
        span.text("tributary.backend", &**backend);
        span.text("tributary.fate", track.fate.as_str());
        span.text("tributary.source", source(track));
        span.int("fanout.index", at);
        span.bit("fanout.critical", critical);
        span.int("tributary.held_us", started.minus(track.planned).get());
        if let Some(asked) = timeline.several_endpoints(at) {
            span.int("tributary.attempts", asked.attempts);
            span.bit("tributary.hedged", asked.hedged);
            if let Some(at) = asked.hedged_at {
                span.int("tributary.hedged_us", at.minus(started).get());
            }
        }
        if track.source == Source::Batched {
            span.int("tributary.mates", track.mates);
        }
        if let Some(age) = track.age {
            span.int("tributary.age_us", age.get());
        }
        if let Some(fallback) = fallback {
            span.text("tributary.fallback", &*fallback.name);
        }
        if let Some(code) = track.code {
            span.text("error.type", code.as_str());
            span.failed = true;
        }
        let first = track.first_answer;
        span.event = first.map(|first| (self.at(first), "first answer"));
        let needed = lane.after.iter();
        let needed = needed.filter(|&&need| timeline.tracks[need].started.is_some());
        span.links
            .extend(needed.map(|&need| self.trace.lookup_span(need)));
    }
}

/// Where the value came from, which is the configuration if it is a default.
fn source(track: &Track) -> &'static str {
    if track.fate == Fate::Default {
        "default"
    } else {
        track.source.as_str()
    }
}
