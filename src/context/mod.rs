//! The context of one call: an explicit value that every lookup receives.
//!
//! Nothing about a call is ambient (no task-local, no global), so a lookup can neither lose its context nor see that of
//! another call. It is filled from the method's `tributary.Context` parameter and from the headers of the call's frame.

mod trace; // its place in a distributed trace

use std::sync::Arc;

use tokio::time::Instant;

use crate::faults::CallFaults;

pub use trace::{Parent, Propagation, Trace};

/// How a call's lookups are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each lookup starts the moment its inputs are known.
    #[default]
    Evented,
    /// One lookup at a time, in plan order: the baseline of `compare`.
    Serial,
}

impl Mode {
    /// The number in `tributary.Mode`.
    pub fn number(self) -> i64 {
        match self {
            Mode::Evented => 0,
            Mode::Serial => 1,
        }
    }

    /// The word in reports, logs and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Evented => "EVENTED",
            Mode::Serial => "SERIAL",
        }
    }
}

/// A client whose lookups take turns with those of others: the number of its connection on its loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CallerId(pub(crate) u64);

/// What a call carries besides its parameters. Cheap to share: lookups get a reference.
#[derive(Clone, Debug)]
pub struct Context {
    /// Identifies the call in logs; empty if the client sent none.
    pub request_id: Arc<str>,
    /// The W3C trace context, passed on to backends that can carry it.
    pub traceparent: Option<Arc<str>>,
    /// The vendor data that goes with `traceparent`.
    pub tracestate: Option<Arc<str>>,
    /// Its place in the trace, if traces are recorded.
    pub trace: Option<Arc<Trace>>,
    /// When the last byte of the call arrived. All times in a report count from here.
    pub arrived: Instant,
    /// When the reply has to be sent.
    pub deadline: Instant,
    /// How lookups are started.
    pub mode: Mode,
    /// Whether the caller asked for a `tributary.Report`.
    pub want_report: bool,
    /// Key-value pairs of the caller's, passed to every lookup.
    pub baggage: Vec<(Arc<str>, Arc<str>)>,
    /// The faults that the caller asks for, if it may.
    pub(crate) faults: Option<Arc<CallFaults>>,
    /// Where the call came from.
    pub(crate) caller: CallerId,
}

impl Context {
    /// A context without anything from the caller.
    pub fn new(arrived: Instant, deadline: Instant) -> Self {
        Context {
            request_id: Arc::default(),
            traceparent: None,
            tracestate: None,
            trace: None,
            arrived,
            deadline,
            mode: Mode::Evented,
            want_report: false,
            baggage: Vec::new(),
            faults: None,
            caller: CallerId::default(),
        }
    }

    /// The headers of its trace for a store that is asked by the lookup at this index of the view.
    pub fn trace_headers(&self, at: usize) -> Vec<(&'static str, Arc<str>)> {
        if let Some(trace) = &self.trace {
            return trace.headers(at, self.tracestate.as_ref());
        }
        let given = [
            ("traceparent", &self.traceparent),
            ("tracestate", &self.tracestate),
        ];
        let given = given.into_iter();
        given
            .filter_map(|(name, value)| Some((name, Arc::clone(value.as_ref()?))))
            .collect()
    }
}
