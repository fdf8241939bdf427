//! Makes the spans of a call from its timeline: one for the call, one for each of its phases, one for each lookup that ran.
//!
//! Lookups are children of the call and may overlap. One that needs the value of another has a link to it. Names are those
//! of the semantic conventions of OpenTelemetry where there are some. Pure.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use super::span::{Attribute, AttributeValue, Span, SpanKind};
use super::store;
use crate::context::{Propagation, Trace};
use crate::error::Fault;
use crate::recorder::{Outcome, RecordedCall};
use crate::timeline::{Analysis, Fate, Lane, Micros, Source, Track};

/// The spans of `call`. That of the call itself is first.
pub(super) fn spans(call: &RecordedCall) -> Vec<Span<'_>> {
    let making = Making {
        call,
        trace: call.trace.unwrap_or_else(|| made_up(call)),
        began: since_epoch(call),
    };
    let mut spans = vec![making.of_call()];
    spans.extend(making.phases());
    let path = Analysis::of(&call.timeline).critical_path;
    let lookups = ran(call);
    spans.extend(lookups.map(|(at, ran)| making.of_lookup(at, ran, path.contains(&at))));
    spans
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
    began: Duration,
}

impl<'c> Making<'c> {
    fn at(&self, time: Micros) -> u64 {
        let since = self.began + Duration::from(time);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// A child of the call's span that has nothing but its time.
    fn child(&self, id: u64, name: Cow<'c, str>, (from, to): (Micros, Micros)) -> Span<'c> {
        Span {
            trace: self.trace.id,
            id,
            parent: Some(self.trace.span),
            is_remote: false,
            name,
            kind: SpanKind::Internal,
            start: self.at(from),
            end: self.at(to.max(from)),
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            failed: false,
        }
    }

    fn of_call(&self) -> Span<'c> {
        let call = self.call;
        let service = call.about.service(call.service);
        let name = match service {
            Some(service) => format!("{service}/{}", call.called).into(),
            None => Cow::Borrowed(&*call.called),
        };
        let code = match call.outcome {
            Outcome::Failed(code) => Some(code),
            Outcome::Ok | Outcome::Partial => None,
        };
        let caller = call.caller.to_string();
        let lookups = i64::try_from(call.timeline.tracks.len()).unwrap_or(i64::MAX);
        let mut attributes = vec![
            text("rpc.system.name", "thrift"),
            // The names of these before they became stable, for tools that read only those.
            text("rpc.system", "thrift"),
            text("rpc.service", service.unwrap_or_default()),
            text("rpc.method", name.clone()),
            text("tributary.outcome", call.outcome.as_str()),
            text("tributary.caller", caller),
            text("tributary.mode", call.timeline.mode.as_str()),
            ("fanout.size", AttributeValue::Int(lookups)),
        ];
        if let Some(id) = call.request_id.as_deref().filter(|id| !id.is_empty()) {
            attributes.push(text("tributary.request_id", id));
        }
        attributes.extend(code.map(|code| text("error.type", code.as_str())));
        Span {
            id: self.trace.span,
            parent: self.trace.parent,
            is_remote: self.trace.parent.is_some(),
            kind: SpanKind::Server,
            attributes,
            // A mistake of the client is no failure of the server.
            failed: code.is_some_and(|code| code.fault() != Fault::Client),
            ..self.child(self.trace.span, name, (Micros::ZERO, call.took))
        }
    }

    /// What the call did itself. Nothing is known of a call whose view did not run.
    fn phases(&self) -> impl Iterator<Item = Span<'c>> {
        let timeline = &self.call.timeline;
        let began = timeline.tracks.first().map(|first| first.planned);
        let ended = timeline.tracks.iter().map(|track| track.done).max();
        let phases = began.zip(ended).map(|(began, ended)| {
            [
                ("decode parameters", Micros::ZERO, began),
                ("merge", ended, timeline.elapsed),
                ("write reply", timeline.elapsed, self.call.took),
            ]
        });
        let phases = phases.into_iter().flatten().enumerate();
        let took_time = phases.filter(|(_, (_, from, to))| to > from);
        took_time.map(|(at, (name, from, to))| {
            self.child(self.trace.phase_span(at), name.into(), (from, to))
        })
    }

    fn of_lookup(
        &self,
        at: usize,
        Ran {
            lane,
            track,
            started,
        }: Ran<'c>,
        critical: bool,
    ) -> Span<'c> {
        let fallback = lane.answered_by(track);
        let backend = fallback.map_or(&lane.backend, |fallback| &fallback.backend);
        let store = self.call.about.store(backend);
        let number = |micros: Micros| i64::try_from(micros.get()).unwrap_or(i64::MAX);
        let index = i64::try_from(at).unwrap_or(i64::MAX);
        let endpoint = self.call.timeline.endpoint(at);
        let mut attributes = store.map_or_else(Vec::new, |of| store::attributes(of, endpoint));
        attributes.extend([
            text("tributary.backend", &**backend),
            text("tributary.fate", track.fate.as_str()),
            text("tributary.source", source(track)),
            ("fanout.index", AttributeValue::Int(index)),
            ("fanout.critical", AttributeValue::Bool(critical)),
            (
                "tributary.held_us",
                AttributeValue::Int(number(started.minus(track.planned))),
            ),
        ]);
        if let Some(asked) = self.call.timeline.several_endpoints(at) {
            let attempts = AttributeValue::Int(asked.attempts.into());
            attributes.push(("tributary.attempts", attempts));
            attributes.push(("tributary.hedged", AttributeValue::Bool(asked.hedged)));
        }
        let age = track
            .age
            .map(|age| ("tributary.age_us", AttributeValue::Int(number(age))));
        attributes.extend(age);
        let fallback = fallback.map(|fallback| text("tributary.fallback", &*fallback.name));
        attributes.extend(fallback);
        attributes.extend(track.code.map(|code| text("error.type", code.as_str())));
        let is_kept = matches!(track.source, Source::Cache | Source::Stale);
        let kind = if is_kept {
            SpanKind::Internal
        } else {
            store::kind(store)
        };
        let first_answer = track
            .first_answer
            .map(|first| (self.at(first), "first answer"));
        let tracks = &self.call.timeline.tracks;
        let needed = lane
            .after
            .iter()
            .filter(|&&need| tracks[need].started.is_some());
        Span {
            kind,
            attributes,
            events: first_answer.into_iter().collect(),
            links: needed.map(|&need| self.trace.lookup_span(need)).collect(),
            failed: track.code.is_some(),
            ..self.child(
                self.trace.lookup_span(at),
                Cow::Borrowed(&*lane.name),
                (started, track.done),
            )
        }
    }
}

fn text<'c>(name: &'static str, value: impl Into<Cow<'c, str>>) -> Attribute<'c> {
    (name, AttributeValue::Text(value.into()))
}

/// Where the value came from, which is the configuration if it is a default.
fn source(track: &Track) -> &'static str {
    if track.fate == Fate::Default {
        "default"
    } else {
        track.source.as_str()
    }
}
