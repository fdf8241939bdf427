//! Holds the metadata of a call: the headers of its frame, and those of its reply's frame.
//!
//! Only THeader frames have headers; calls in other frames have no metadata. The reply's headers are for clients whose IDL
//! has no field for these things. They are few and short, and contain only validated text of the client, error codes,
//! fates and names of lookups ([`summary`]).

mod request;
mod summary;
mod text;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::call_error::ErrorCodes;
use super::closing::Closing;
use super::watched::Watched;
use crate::context::{Context, Parent};
use crate::random::Random;
use crate::thrift::Header;
use crate::timeline::Timeline;
pub(super) use request::{INJECT, RequestMetadata};
use text::is_plain;
pub(super) use text::short;

/// Tells a client that the connection is going to end: the name that Envoy's Thrift proxy sends and obeys
/// (<https://github.com/envoyproxy/envoy/pull/20236>).
const DRAIN: &str = ":drain";

/// The metadata of one call, which came in a THeader frame.
pub(super) struct CallMetadata {
    /// The sequence id of the call's frame. The reply's frame repeats it.
    pub(super) sequence: i32,
    /// The metadata in the call's frame. Its request id is always set: by the client, or made here.
    pub(super) given: RequestMetadata,
    /// Whether its connection is going to end.
    closing: Option<Rc<Closing>>,
    /// The ids of the call, once its parameters are decoded.
    ids: OnceCell<Ids>,
    /// What happened, once its view has run.
    summary: OnceCell<Summary>,
    /// Where what happened is put, if someone watches the call.
    watched: Option<Rc<Watched>>,
    /// How many milliseconds a refused caller should wait before it calls again.
    retry_after: OnceCell<String>,
}

/// The ids of a call in logs and traces.
struct Ids {
    request_id: Option<Arc<str>>,
    traceparent: Option<Arc<str>>,
}

struct Summary {
    /// The lookups that make the reply incomplete, if there are any.
    incomplete: Option<String>,
    /// The report, if the caller asked for it, the reply has no field for it, and it is not too long.
    report: Option<String>,
}

impl CallMetadata {
    /// Reads `header`. A call without a request id gets one from `random`.
    pub(super) fn of(
        header: &Header,
        closing: Option<Rc<Closing>>,
        random: &RefCell<Random>,
    ) -> Box<Self> {
        let mut given = RequestMetadata::read(header);
        given
            .request_id
            .get_or_insert_with(|| format!("{:016x}", random.borrow_mut().draw()).into());
        Box::new(CallMetadata {
            sequence: header.sequence(),
            given,
            closing,
            ids: OnceCell::new(),
            summary: OnceCell::new(),
            watched: None,
            retry_after: OnceCell::new(),
        })
    }

    /// Puts what happens in the call into `watched`.
    pub(super) fn watched_by(mut self: Box<Self>, watched: &Rc<Watched>) -> Box<Self> {
        self.watched = Some(Rc::clone(watched));
        self
    }

    /// Where what happens in the call is put, if someone watches it.
    pub(super) fn watched(&self) -> Option<&Watched> {
        self.watched.as_deref()
    }

    /// Takes the ids of `context`: the call's own parameter may override those of its frame.
    pub(super) fn identify(&self, context: &Context) {
        self.ids.get_or_init(|| Ids::of(context));
    }

    /// Records what happened in its view; with `report`, the whole report.
    pub(super) fn summarize(&self, timeline: &Timeline, report: bool) {
        if let Some(watched) = &self.watched {
            watched.timeline.get_or_init(|| timeline.clone());
        }
        self.summary.get_or_init(|| Summary {
            incomplete: summary::incomplete(timeline),
            report: report.then(|| summary::report(timeline)).flatten(),
        });
    }

    /// The caller should not call again before so much time has passed.
    pub(super) fn retry_after(&self, time: Duration) {
        let ms = time.as_nanos().div_ceil(1_000_000);
        self.retry_after.get_or_init(|| ms.to_string());
    }

    /// The id of the call in logs.
    pub(super) fn request_id(&self) -> Option<&str> {
        match self.ids.get() {
            Some(ids) => ids.request_id.as_deref(),
            None => self.given.request_id.as_deref(),
        }
    }

    fn traceparent(&self) -> Option<&str> {
        match self.ids.get() {
            Some(ids) => ids.traceparent.as_deref(),
            None => self.given.traceparent.as_deref(),
        }
    }

    /// The headers of the reply's frame. `failed`: the codes of a call without a result.
    pub(super) fn pairs(&self, failed: Option<ErrorCodes>) -> Vec<(&str, &[u8])> {
        let summary = self.summary.get();
        let served = summary.filter(|_| failed.is_none());
        let complete = served.map(|summary| {
            if summary.incomplete.is_none() {
                "1"
            } else {
                "0"
            }
        });
        let closing = self.closing.as_ref();
        let drain = closing.is_some_and(|closing| closing.is_announced());
        let pairs = [
            ("request-id", self.request_id()),
            ("traceparent", self.traceparent()),
            ("tributary-code", failed.map(|failed| failed.code.as_str())),
            (
                "tributary-cause",
                failed.and_then(|failed| Some(failed.cause?.as_str())),
            ),
            ("tributary-complete", complete),
            (
                "tributary-incomplete",
                served.and_then(|summary| summary.incomplete.as_deref()),
            ),
            (
                "tributary-report",
                summary.and_then(|summary| summary.report.as_deref()),
            ),
            (
                "tributary-retry-after",
                self.retry_after.get().map(String::as_str),
            ),
            (DRAIN, drain.then_some("true")),
        ];
        let pairs = pairs.into_iter();
        pairs
            .filter_map(|(name, value)| Some((name, value?.as_bytes())))
            .collect()
    }
}

impl Ids {
    /// The client's ids are repeated only if they are valid in a header.
    fn of(context: &Context) -> Self {
        let id = Some(&context.request_id).filter(|id| is_plain(id));
        let given = context.traceparent.as_ref();
        let given = || given.filter(|given| Parent::of_w3c(given).is_some());
        Ids {
            request_id: id.cloned(),
            traceparent: match &context.trace {
                // So that the caller finds what was recorded of this very call.
                Some(trace) => Some(trace.traceparent(trace.span).into()),
                None => given().cloned(),
            },
        }
    }
}
