//! Logs calls: one line once it is known what the client gets, at a level that says who has to act.
//!
//! A call whose failure somebody has to act on is logged at level warn or error, once per method and code every ten
//! seconds; the others like it are logged at level debug.

use std::cell::RefCell;
use std::collections::HashMap;

use tracing::{debug, error, warn};

use super::call_error::CallError;
use crate::error::{Code, Fault};
use crate::log_limit::LogLimit;
use crate::metrics::Served;
use crate::plan::Plan;

/// The calls and replies of one service.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    /// By method. Methods are configured, so there are few.
    failed: RefCell<HashMap<String, LogLimit>>,
    /// Replies that are not what the call's view wanted.
    replies: RefCell<HashMap<String, LogLimit>>,
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
    /// A call that got its view's result.
    pub(super) fn served(plan: &Plan, request_id: &str, elapsed_us: u64, served: Served) {
        let method = &*plan.label;
        let request_id = sent(Some(request_id));
        match served {
            Served::Whole => debug!(method, request_id, elapsed_us, "call served"),
            Served::Partial => debug!(method, request_id, elapsed_us, "call served in part"),
        }
    }

    /// A call that failed with `error`. `elapsed_us` is set if its view ran.
    pub(super) fn failed(
        &self,
        plan: &Plan,
        request_id: Option<&str>,
        elapsed_us: Option<u64>,
        error: &CallError,
    ) {
        let method = &*plan.label;
        let request_id = sent(request_id);
        let (code, cause) = (error.code, error.cause.map(tracing::field::display));
        let lookup = error.lookup.as_ref().map(|(name, _)| &**name);
        let detail = error.detail.as_deref().or(error.about.as_deref());
        // Mistakes of clients and stores that are down are not worth a warning: the guards report stores. Nor is an
        // overloaded server, which refuses many calls.
        let quiet = match code.fault() {
            Fault::Client | Fault::Backend => true,
            Fault::Server | Fault::Operator => code == Code::ServerOverloaded,
        };
        let allowed = (!quiet).then(|| allow(&self.failed, method, code));
        match allowed.flatten() {
            Some(suppressed) => warn!(
                %code,
                cause, lookup, detail, method, request_id, elapsed_us, suppressed, "call failed"
            ),
            None => debug!(
                %code,
                cause, lookup, detail, method, request_id, elapsed_us, "call failed"
            ),
        }
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

/// Whether a line with `code` may be logged for `method`, and if so how many were suppressed since the last one.
fn allow(limits: &RefCell<HashMap<String, LogLimit>>, method: &str, code: Code) -> Option<u64> {
    let mut limits = limits.borrow_mut();
    if let Some(limit) = limits.get(method) {
        return limit.allow(code);
    }
    limits.entry(method.to_owned()).or_default().allow(code)
}

/// The request id that the client sent, if it sent one.
fn sent(request_id: Option<&str>) -> Option<&str> {
    request_id.filter(|id| !id.is_empty())
}
