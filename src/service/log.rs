//! Logs calls: one line once it is known what the client gets, at a level that says who has to act.

use tracing::{debug, warn};

use super::call_error::CallError;
use crate::error::{Code, Fault};
use crate::plan::Plan;

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

/// A call that got its view's result.
pub(super) fn served(plan: &Plan, request_id: &str, elapsed_us: u64) {
    let method = &*plan.method;
    debug!(method, request_id, elapsed_us, "call served");
}

/// A call that failed with `error`. `elapsed_us` is set if its view ran.
pub(super) fn failed(
    plan: &Plan,
    request_id: Option<&str>,
    elapsed_us: Option<u64>,
    error: &CallError,
) {
    let method = &*plan.method;
    let (code, cause) = (error.code, error.cause.map(tracing::field::display));
    let lookup = error.lookup.as_ref().map(|(name, _)| &**name);
    let detail = error.detail.as_deref().or(error.about.as_deref());
    // Mistakes of clients and stores that are down are not worth a warning per call: the guards report stores. Nor is an
    // overloaded server, which refuses many calls.
    let quiet = match code.fault() {
        Fault::Client | Fault::Backend => true,
        Fault::Server | Fault::Operator => code == Code::ServerOverloaded,
    };
    if quiet {
        debug!(
            %code,
            cause, lookup, detail, method, request_id, elapsed_us, "call failed"
        );
    } else {
        warn!(
            %code,
            cause, lookup, detail, method, request_id, elapsed_us, "call failed"
        );
    }
}
