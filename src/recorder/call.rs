//! A call that is kept: what happened in it and when, without its values.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::about::About;
use super::values::CallValues;
use crate::context::Trace;
use crate::error::Code;
use crate::timeline::{Micros, Timeline};

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply, with everything.
    Ok,
    /// The reply, but a lookup failed.
    Partial,
    /// An exception.
    Failed(Code),
    /// Nothing: the connection ended first.
    HungUp,
}

impl Outcome {
    /// The word of the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Partial => "partial",
            Outcome::Failed(code) => code.as_str(),
            Outcome::HungUp => "hung_up",
        }
    }

    /// Whether calls can end in what `word` says: a word of the metrics, or `failed` for any code.
    pub fn is_word(word: &str) -> bool {
        let words = [Outcome::Ok, Outcome::Partial, Outcome::HungUp].map(Outcome::as_str);
        words.contains(&word) || word == "failed" || Code::parse(word).is_some()
    }

    /// Whether it is what `word` says.
    pub fn is(self, word: &str) -> bool {
        self.as_str() == word || (word == "failed" && matches!(self, Outcome::Failed(_)))
    }
}

/// How a call ends, as far as it decides who gets it.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'c> {
    /// When its last byte arrived.
    pub arrived: Instant,
    /// How long it took since then.
    pub took: Micros,
    /// It failed, or its reply is partial.
    pub failed: bool,
    /// Its place in a trace, if traces are recorded.
    pub trace: Option<&'c Trace>,
    /// Someone waits to look at it.
    pub watched: bool,
}

impl Ending<'_> {
    /// When it ends. Few calls are asked.
    pub(super) fn at(&self) -> Instant {
        self.arrived + Duration::from(self.took)
    }
}

/// Why a call is taken.
#[expect(clippy::struct_excessive_bools, reason = "each is a reason of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// It belongs to the sample.
    pub(super) sampled: bool,
    /// It failed, or its reply is partial.
    pub(super) failed: bool,
    /// It may be one of the slowest of its method.
    pub(super) slow: bool,
    /// A collector of traces gets it.
    pub(super) traced: bool,
    /// It may get a line in the log.
    pub(super) logged: bool,
    /// Someone waits to look at it.
    pub(super) watched: bool,
}

impl Wanted {
    pub(super) fn is_any(self) -> bool {
        self.is_kept() || self.traced || self.logged
    }

    /// For what either wants it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Wanted {
            sampled: self.sampled || other.sampled,
            failed: self.failed || other.failed,
            slow: self.slow || other.slow,
            traced: self.traced || other.traced,
            logged: self.logged || other.logged,
            watched: self.watched || other.watched,
        }
    }

    /// Whether the admin port gets it.
    pub(super) fn is_kept(self) -> bool {
        self.sampled || self.failed || self.slow || self.watched
    }
}

/// Who called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A caller with a name.
    Named(Arc<str>),
    /// An unknown caller, on the connection with this number of its loop.
    Connection(u64),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Named(name) => f.write_str(name),
            Caller::Connection(number) => write!(f, "connection {number}"),
        }
    }
}

/// Why a call failed, for the log only: details may name tables, keys or addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedBy {
    /// The code of the lookup that failed, if one did.
    pub cause: Option<Code>,
    /// Its name.
    pub lookup: Option<Arc<str>>,
    /// What went wrong.
    pub detail: Option<String>,
}

/// A call that ended.
#[derive(Debug)]
pub struct RecordedCall {
    /// The number of its loop.
    pub of_loop: usize,
    /// Its number on its loop.
    pub number: u64,
    /// The method, as in metrics.
    pub method: Arc<str>,
    /// The method's own name.
    pub called: Arc<str>,
    /// Its service, as an index into those of `about`.
    pub service: usize,
    /// What is known of services and stores.
    pub about: Arc<About>,
    /// What its client got.
    pub outcome: Outcome,
    /// Who called.
    pub caller: Caller,
    /// The other end of its connection; `None` for a process on this machine.
    pub peer: Option<SocketAddr>,
    /// The id that its client sent.
    pub request_id: Option<Arc<str>>,
    /// Its place in a trace, if traces are recorded.
    pub trace: Option<Trace>,
    /// When its last byte arrived; `None` if the clock says that this was before all time.
    pub started: Option<SystemTime>,
    /// From its last byte to its reply.
    pub took: Micros,
    /// What happened when; without lookups if its view did not run.
    pub timeline: Timeline,
    /// Its parameters and its result, if the admin port is to show them.
    pub values: Option<CallValues>,
}

impl RecordedCall {
    /// Its loop and its number there: `0-17`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.of_loop, self.number)
    }
}
