//! The context of one call: an explicit value that every lookup is handed.
//!
//! Nothing about a call is ambient (no task-local, no global), so no lookup can lose it or see another
//! call's. It is filled from the method's `tributary.Context` parameter and from the headers of its frame.

use std::sync::Arc;

use tokio::time::Instant;

/// How a call's lookups are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each lookup starts the moment its inputs are known.
    #[default]
    Evented,
    /// One lookup at a time, in plan order: the baseline that `compare` measures against.
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

/// What a call carries besides its parameters. Cheap to share: lookups get a reference.
#[derive(Clone, Debug)]
pub struct Context {
    /// Names the call in logs; empty when the client gave none.
    pub request_id: Arc<str>,
    /// W3C trace context, passed on to backends that can carry it.
    pub traceparent: Option<Arc<str>>,
    /// What the tracers on the way added to it.
    pub tracestate: Option<Arc<str>>,
    /// When the whole frame had arrived; every time in a report counts from here.
    pub arrived: Instant,
    /// When the reply must be on its way.
    pub deadline: Instant,
    /// How lookups are started.
    pub mode: Mode,
    /// Whether the caller asked for a `tributary.Report`.
    pub want_report: bool,
    /// The caller's own pairs, handed to every lookup.
    pub baggage: Vec<(Arc<str>, Arc<str>)>,
}

impl Context {
    /// A context with nothing from the caller.
    pub fn new(arrived: Instant, deadline: Instant) -> Self {
        Context {
            request_id: Arc::default(),
            traceparent: None,
            tracestate: None,
            arrived,
            deadline,
            mode: Mode::Evented,
            want_report: false,
            baggage: Vec::new(),
        }
    }
}
