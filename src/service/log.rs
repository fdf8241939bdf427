//! What the log says of a call: one line when it is known what its client gets, failures at the level of who has to act.

use tracing::{debug, warn};

use super::exception::CallError;
use crate::error::{Code, Fault};
use crate::plan::Plan;

/// A message that became no call; `method` is `None` where that could not be read.
pub(super) fn refused(method: Option<&str>, error: &CallError, request_id: Option<&str>) {
    let detail = error.about.as_deref();
    debug!(code = %error.code, detail, method, request_id, "call refused");
}

/// A call of the `Tributary` service that has no other answer.
pub(super) fn refused_meta(method: &str, error: &CallError, request_id: Option<&str>) {
    let detail = error.about.as_deref();
    debug!(code = %error.code, detail, method, request_id, service = "Tributary", "call refused");
}

/// A call that is answered with its view's result.
pub(super) fn served(plan: &Plan, request_id: &str, elapsed_us: u64) {
    let method = &*plan.method;
    debug!(method, request_id, elapsed_us, "call served");
}

/// A call that is answered with `error`; `elapsed_us` is there if its view ran.
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
    // A client's mistake, and a store that is down, are no news per call: the guards report stores. Nor is a full
    // server, which refuses many.
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
