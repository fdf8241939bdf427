//! The metadata of a call: the deadline, the trace and the request's id.
//!
//! It is sent as headers if the transport has them, and as a `tributary.Context` if the method has such a parameter. The
//! remaining time is computed when the call is written, since it may have waited for a connection.

use std::sync::Arc;

use tokio::time::Instant;

use super::config::Remote;
use crate::backend::Ask;
use crate::thrift::Transport;
use crate::value::{FieldNames, Record, Value};

/// The field of a `tributary.Context` with the remaining time.
const BUDGET: &str = "budget_ms";

/// The metadata of one call.
pub(super) struct CallMetadata {
    deadline: Instant,
    /// Headers by name; empty if the transport has none.
    headers: Vec<(&'static str, Arc<str>)>,
}

impl CallMetadata {
    /// The metadata of a call to `remote` for `ask`.
    pub(super) fn new(remote: &Remote, ask: &Ask<'_>) -> Self {
        let mut headers = Vec::new();
        if remote.wire_format.transport == Transport::Header {
            headers = ask.context.trace_headers(ask.step);
            let id = Some(&ask.context.request_id).filter(|id| !id.is_empty());
            headers.extend(id.map(|id| ("request-id", Arc::clone(id))));
        }
        CallMetadata {
            deadline: ask.deadline,
            headers,
        }
    }

    /// Passes the headers, for a call that is written now, to `write`.
    pub(super) fn with_headers<T>(&self, write: impl FnOnce(&[(&str, &[u8])]) -> T) -> T {
        let budget = self.budget().to_string();
        let mut pairs = vec![("Deadline-Budget", budget.as_bytes())];
        pairs.extend(
            self.headers
                .iter()
                .map(|(name, value)| (*name, value.as_bytes())),
        );
        write(&pairs)
    }

    /// Updates the remaining time in the context, which is the parameter at `at`.
    pub(super) fn set_remaining(&self, params: &mut Value, at: usize) {
        if let Value::Record(params) = params
            && let Some(Value::Record(context)) = params.values.get_mut(at)
            && let Some(budget) = context.names.position(BUDGET)
        {
            context.values[budget] = Value::I64(self.budget());
        }
    }

    /// The milliseconds that are left.
    fn budget(&self) -> i64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        i64::try_from(left.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The context of `ask` as a `tributary.Context` with these fields, without the remaining time.
pub(super) fn context_value(ask: &Ask<'_>, names: &FieldNames) -> Value {
    let context = ask.context;
    let traceparent = || match &context.trace {
        Some(trace) => Value::from(trace.traceparent(trace.lookup_span(ask.step))),
        None => Value::from(context.traceparent.as_deref()),
    };
    let value = |name: &Arc<str>| match &**name {
        "request_id" if !context.request_id.is_empty() => Value::from(&*context.request_id),
        "traceparent" => traceparent(),
        "baggage" if !context.baggage.is_empty() => {
            let pairs = context.baggage.iter();
            let pair =
                |(key, value): &(Arc<str>, Arc<str>)| (Value::from(&**key), Value::from(&**value));
            Value::Map(pairs.map(pair).collect())
        }
        _ => Value::Null,
    };
    Value::Record(Record {
        names: names.clone(),
        values: names.iter().map(value).collect(),
    })
}
