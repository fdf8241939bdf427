//! Makes the context of a call from its `tributary.Context` parameter and the headers of its frame.
//!
//! The parameter wins over the headers: the caller itself wrote it, while a proxy may have added a header. The earlier of
//! two deadlines holds, and a report is made if either asks for it.

use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::metadata::{RequestMetadata, short};
use super::reserve::Reserves;
use crate::context::{Context, Mode, Parent};
use crate::value::Value;

/// Further baggage pairs are ignored.
const BAGGAGE_MAX: usize = 64;

/// The context of `call`; `param` is its `tributary.Context`. The view's deadline holds unless the caller's budget, less what
/// is kept for the reply, ends earlier.
pub(super) fn of_call(call: &Call, param: Option<&Value>, reserves: &Reserves) -> Context {
    let mut context = Context::new(call.arrived, call.arrived + call.plan.deadline);
    let shorten = |context: &mut Context, budget: Duration| {
        let time = budget.saturating_sub(reserves.of(call.plan.index, budget));
        // A budget that the clock can't represent is ignored.
        if let Some(own) = context.arrived.checked_add(time) {
            context.deadline = context.deadline.min(own);
        }
    };
    if let Some(headers) = call.request_metadata() {
        fill_from_headers(&mut context, headers);
        if let Some(budget) = headers.budget {
            shorten(&mut context, budget);
        }
    }
    if let Some(param) = param.filter(|param| !param.is_null()) {
        fill_from_param(&mut context, param);
        if let Some(Value::I64(ms)) = param.get("budget_ms") {
            shorten(
                &mut context,
                Duration::from_millis(u64::try_from(*ms).unwrap_or(0)),
            );
        }
    }
    context
}

/// The caller's place in a trace: that of the call's context, or of its frame if it has no context.
pub(super) fn parent(call: &Call, context: Option<&Context>) -> Option<Parent> {
    let headers = call.request_metadata();
    let of_frame = headers.and_then(|given| given.traceparent.as_ref());
    let text = match context {
        Some(context) => context.traceparent.as_ref()?,
        None => of_frame?,
    };
    let mut parent = Parent::of_w3c(text)?;
    if headers.is_some_and(|given| given.defers) && of_frame == Some(text) {
        parent.sampled = None;
    }
    Some(parent)
}

fn fill_from_headers(context: &mut Context, given: &RequestMetadata) {
    if let Some(id) = &given.request_id {
        context.request_id = Arc::clone(id);
    }
    context.traceparent.clone_from(&given.traceparent);
    context.tracestate.clone_from(&given.tracestate);
    context.mode = given.mode.unwrap_or_default();
    context.want_report = given.want_report;
}

fn fill_from_param(context: &mut Context, given: &Value) {
    if let Some(id) = text(given, "request_id") {
        context.request_id = id;
    }
    if let Some(traceparent) = text(given, "traceparent") {
        // The header's tracestate belongs to the header's traceparent.
        context.tracestate = None;
        context.traceparent = Some(traceparent);
    }
    match given.get("mode") {
        Some(&Value::I64(0)) => context.mode = Mode::Evented,
        Some(&Value::I64(1)) => context.mode = Mode::Serial,
        _ => {}
    }
    context.want_report |= given.get("want_report") == Some(&Value::Bool(true));
    if let Some(Value::Map(pairs)) = given.get("baggage") {
        let pairs = pairs.iter().take(BAGGAGE_MAX);
        context.baggage = pairs
            .filter_map(|(key, value)| Some((Arc::from(key.as_str()?), Arc::from(value.as_str()?))))
            .collect();
    }
}

fn text(given: &Value, field: &str) -> Option<Arc<str>> {
    Some(Arc::from(short(given.get(field)?.as_str()?)))
}
