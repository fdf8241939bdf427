//! The context of a call, from its `tributary.Context` parameter.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::context::{Context, Mode};
use crate::value::Value;
use crate::view::Plan;

/// The longest text taken from a context's field; longer ones are cut, so that logs stay readable.
const TEXT_MAX: usize = 256;
/// The most baggage pairs taken.
const BAGGAGE_MAX: usize = 64;

/// What the call carries; the view's deadline holds unless the caller's budget ends sooner.
pub(super) fn of_call(plan: &Plan, params: &[Value], arrived: Instant) -> Context {
    let deadline = arrived + plan.deadline;
    let mut context = Context::new(arrived, deadline);
    let Some(given) = plan
        .context_param
        .and_then(|at| params.get(at))
        .filter(|given| !given.is_null())
    else {
        return context;
    };
    if let Some(id) = text(given, "request_id") {
        context.request_id = id;
    }
    context.traceparent = text(given, "traceparent");
    if let Some(Value::I64(budget)) = given.get("budget_ms") {
        let budget = Duration::from_millis(u64::try_from(*budget).unwrap_or(0));
        context.deadline = arrived
            .checked_add(budget)
            .map_or(deadline, |own| own.min(deadline));
    }
    if given.get("mode") == Some(&Value::I64(1)) {
        context.mode = Mode::Serial;
    }
    context.want_report = given.get("want_report") == Some(&Value::Bool(true));
    if let Some(Value::Map(pairs)) = given.get("baggage") {
        let pairs = pairs.iter().take(BAGGAGE_MAX);
        context.baggage = pairs
            .filter_map(|(key, value)| Some((Arc::from(key.as_str()?), Arc::from(value.as_str()?))))
            .collect();
    }
    context
}

fn text(given: &Value, field: &str) -> Option<Arc<str>> {
    let text = given.get(field)?.as_str()?;
    let end = (0..=TEXT_MAX.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))?;
    Some(Arc::from(&text[..end]))
}
