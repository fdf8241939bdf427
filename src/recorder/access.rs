//! One line of the access log, before it is written: what is known of every call that ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::call::{Caller, Outcome};
use crate::error::Code;
use crate::timeline::Micros;

/// A call that ended, without its lookups.
#[derive(Clone, Debug)]
pub struct AccessEntry {
    /// When it ended.
    pub at: SystemTime,
    /// The method, as in metrics.
    pub method: Arc<str>,
    /// What its client got.
    pub outcome: Outcome,
    /// The code of the lookup that made it fail, if one did.
    pub cause: Option<Code>,
    /// The name of that lookup.
    pub lookup: Option<Arc<str>>,
    /// From its last byte to its reply.
    pub took: Micros,
    /// Who called.
    pub caller: Caller,
    /// The other end of its connection; `None` for a process on this machine.
    pub peer: Option<SocketAddr>,
    /// The id that its client sent.
    pub request_id: Option<Arc<str>>,
    /// Its trace, if traces are recorded.
    pub trace: Option<u128>,
}
