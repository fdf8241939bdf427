//! What goes along with a call besides its parameters: the deadline, the trace and the request's name.
//!
//! They go as headers where the transport has them, and as a `tributary.Context` where the method has such a parameter.
//! What is left of the time is looked up when the call is written: it may have waited for a connection.

use std::sync::Arc;

use tokio::time::Instant;

use super::config::Remote;
use crate::backend::Ask;
use crate::context::Context;
use crate::thrift::Transport;
use crate::value::{FieldNames, Record, Value};

/// The field of a `tributary.Context` that says what is left of the time.
const BUDGET: &str = "budget_ms";

/// What goes along with one call.
pub(super) struct Carried {
    deadline: Instant,
    /// By name; none where the transport has no headers.
    headers: Vec<(&'static str, Arc<str>)>,
}

impl Carried {
    /// What a call to `remote` carries for `ask`.
    pub(super) fn new(remote: &Remote, ask: &Ask<'_>) -> Self {
        let mut headers = Vec::new();
        if remote.wire_format.transport == Transport::Header {
            let context = ask.context;
            let id = Some(&context.request_id).filter(|id| !id.is_empty());
            let given = [
                ("traceparent", context.traceparent.as_ref()),
                ("tracestate", context.tracestate.as_ref()),
                ("request-id", id),
            ];
            let given = given.into_iter();
            headers.extend(given.filter_map(|(name, value)| Some((name, Arc::clone(value?)))));
        }
        Carried {
            deadline: ask.deadline,
            headers,
        }
    }

    /// Hands the headers of a call that is written now to `write`.
    pub(super) fn with_pairs<T>(&self, write: impl FnOnce(&[(&str, &[u8])]) -> T) -> T {
        let budget = self.budget().to_string();
        let mut pairs = vec![("Deadline-Budget", budget.as_bytes())];
        pairs.extend(
            self.headers
                .iter()
                .map(|(name, value)| (*name, value.as_bytes())),
        );
        write(&pairs)
    }

    /// Says in the context at `at` of the parameters what is left of the time now.
    pub(super) fn renew(&self, params: &mut Value, at: usize) {
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

/// A call's context as a `tributary.Context` with these fields; without its budget.
pub(super) fn context_value(context: &Context, names: &FieldNames) -> Value {
    let value = |name: &Arc<str>| match &**name {
        "request_id" if !context.request_id.is_empty() => Value::from(&*context.request_id),
        "traceparent" => Value::from(context.traceparent.as_deref()),
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
