//! Logs calls once it is known what the client gets: each at level debug, and those on whose failure somebody has to act
//! in one line at level warn, once per method, code and cause every ten seconds.
//!
//! With `[log]` that line is the recorder's, which also knows what the call's lookups did.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tracing::{debug, error, warn};

use super::call::Call;
use super::call_error::CallError;
use crate::error::Code;
use crate::log_limit::LogLimit;
use crate::metrics::Served;
use crate::plan::Plan;
use crate::recorder::{FailedBy, is_for_people};

/// How often each method may be logged for each reason.
type Limits<K> = RefCell<HashMap<String, LogLimit<K>>>;

/// The calls and replies of one service.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    /// The recorder writes a line for each call that fails.
    has_lines: bool,
    /// By method. Methods are configured, so there are few.
    failed: Limits<(Code, Option<Code>)>,
    /// Replies that are not what the call's view wanted.
    replies: Limits<Code>,
}

/// A message that did not become a call. `method` is `None` if it could not be read.
pub(super) fn refused(method: Option<&str>, error: &CallError, request_id: Option<&str>) {
    let detail = error.about.as_deref();
    debug!(code = %error.code, detail, method, request_id, "call refused");
}

/// A call of the `Tributary` service that failed or was refused.
pub(super) fn refused_meta(method: &str, error: &CallError, request_id: Option<&str>) {
    let detail = error.about.as_deref();
    debug!(code = %error.code, detail, method, request_id, service = "Tributary", "call refused");
}

impl CallLog {
    /// `has_lines`: the recorder writes a line for each call that fails.
    pub(super) fn new(has_lines: bool) -> Self {
        CallLog {
            has_lines,
            ..CallLog::default()
        }
    }

    /// A call that got its view's result.
    pub(super) fn served(plan: &Plan, request_id: &str, elapsed_us: u64, served: Served) {
        let method = &*plan.label;
        let request_id = sent(Some(request_id));
        match served {
            Served::Whole => debug!(method, request_id, elapsed_us, "call served"),
            Served::Partial => debug!(method, request_id, elapsed_us, "call served in part"),
        }
    }

    /// A call that failed with `error`. `ran` are its request id and how long it took, if its view ran.
    pub(super) fn failed(&self, call: &Call, ran: Option<(&str, u64)>, error: &CallError) {
        let method = &*call.plan.label;
        let request_id = sent(ran.map(|(id, _)| id).or(call.request_id()));
        let took_us = ran.map(|(_, took)| took);
        let code = error.code;
        let (cause, lookup, detail) = (error.cause, lookup_of(error), detail_of(error));
        let key = (code, cause);
        let cause = cause.map(Code::as_str);
        if self.has_lines {
            // The recorder writes the line, which has the lookups too.
            call.why.get_or_init(|| Box::new(error.failed_by()));
        } else if is_for_people(code)
            && let Some(suppressed) = allow(&self.failed, method, key)
        {
            warn!(
                method,
                outcome = "failed",
                %code, cause, lookup, detail, took_us, request_id, suppressed, "call ended"
            );
            return;
        }
        debug!(%code, cause, lookup, detail, method, request_id, elapsed_us = took_us, "call failed");
    }

    /// An exception that a closure threw and the method can't throw.
    pub(super) fn unthrowable(&self, method: &str, exception: &str, why: &str) {
        let code = Code::LookupThrew;
        if let Some(suppressed) = allow(&self.replies, method, code) {
            warn!(%code, method, exception, why, suppressed, "exception can't be thrown");
        }
    }

    /// A result that can't be written.
    pub(super) fn unwritable(&self, method: &str, code: Code, detail: &str) {
        if let Some(suppressed) = allow(&self.replies, method, code) {
            error!(%code, method, detail, suppressed, "reply can't be written");
        }
    }
}

fn lookup_of(error: &CallError) -> Option<&str> {
    error.lookup.as_ref().map(|(name, _)| &**name)
}

fn detail_of(error: &CallError) -> Option<&str> {
    error.detail.as_deref().or(error.about.as_deref())
}

impl CallError {
    /// What the line of the call says about it.
    fn failed_by(&self) -> FailedBy {
        FailedBy {
            cause: self.cause,
            lookup: self.lookup.as_ref().map(|(name, _)| Arc::clone(name)),
            detail: detail_of(self).map(str::to_owned),
        }
    }
}

/// Whether a line with `key` may be logged for `method`, and if so how many were suppressed since the last one.
fn allow<K: PartialEq>(limits: &Limits<K>, method: &str, key: K) -> Option<u64> {
    let mut limits = limits.borrow_mut();
    if let Some(limit) = limits.get(method) {
        return limit.allow(key);
    }
    limits.entry(method.to_owned()).or_default().allow(key)
}

/// The request id that the client sent, if it sent one.
fn sent(request_id: Option<&str>) -> Option<&str> {
    request_id.filter(|id| !id.is_empty())
}
