//! What the log says of a call: failures once, at the level of who has to act.

use tracing::{debug, warn};

use super::exception::CallError;
use crate::context::Context;
use crate::error::Fault;
use crate::thrift::Head;
use crate::timeline::Timeline;
use crate::view::Plan;

/// A message that became no call.
pub(super) fn refused(head: &Head, error: &CallError, request_id: Option<&str>) {
    debug!(code = %error.code, method = head.name.as_str(), request_id, "call refused");
}

/// A call of the `Tributary` service that has no other answer.
pub(super) fn refused_meta(method: &str, error: &CallError, request_id: Option<&str>) {
    debug!(code = %error.code, method, request_id, service = "Tributary", "call refused");
}

/// A call that has its reply or its exception.
pub(super) fn ended(
    plan: &Plan,
    context: &Context,
    timeline: &Timeline,
    error: Option<&CallError>,
) {
    let elapsed_us = timeline.elapsed.get();
    let request_id = &*context.request_id;
    let method = &*plan.method;
    let Some(error) = error else {
        debug!(method, request_id, elapsed_us, "call served");
        return;
    };
    let (code, cause) = (error.code, error.cause.map(tracing::field::display));
    let lookup = error.lookup.as_ref().map(|(name, _)| &**name);
    let detail = error.detail.as_deref();
    // A client's mistake, and a store that is down, are no news per call: the guards report stores.
    match error.code.fault() {
        Fault::Client | Fault::Backend => {
            debug!(
                %code,
                cause, lookup, detail, method, request_id, elapsed_us, "call failed"
            );
        }
        Fault::Server | Fault::Operator => {
            warn!(
                %code,
                cause, lookup, detail, method, request_id, elapsed_us, "call failed"
            );
        }
    }
}
