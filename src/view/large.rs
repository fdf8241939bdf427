//! Fits large values to their targets on another thread.

use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::attempt::asked;
use crate::backend::LookupError;
use crate::coerce::LeftOut;
use crate::error::Code;
use crate::idl::Schema;
use crate::offload::{LARGE_BYTES, offload};
use crate::plan::Plan;
use crate::timeline::Track;
use crate::value::Value;

/// A value on its way to its target.
pub(super) struct Fitting {
    work: LocalBoxFuture<'static, Result<Fitted, LookupError>>,
    /// The first failure that a default covers within the value.
    pub(super) covered: Option<Code>,
    /// When the value is no longer useful.
    pub(super) deadline: Instant,
}

/// A value as its store sent it, for the steps that refer to it.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Small(Value),
    /// What is done with it may go on when the call has ended.
    Large(Arc<Value>),
}

impl Deref for Kept {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Kept::Small(value) => value,
            Kept::Large(value) => value,
        }
    }
}

/// A value that was fitted.
pub(super) struct Fitted {
    /// As the store sent it, if other steps refer to it.
    pub(super) kept: Option<Kept>,
    /// As its target takes it, or why it does not fit.
    pub(super) value: Result<Value, String>,
    /// Why the first field was left unset, if one was.
    pub(super) left_out: Option<String>,
}

impl Fitting {
    /// Fits the value of the step at `at`.
    pub(super) fn start(
        (plan, schema): (&Arc<Plan>, &Arc<Schema>),
        (at, track): (usize, Track),
        value: Value,
        (covered, deadline): (Option<Code>, Instant),
    ) -> Self {
        let (plan, schema) = (Arc::clone(plan), Arc::clone(schema));
        let fit = move || {
            let step = asked(&plan, &track, at);
            let kept = step.referred.then(|| Kept::Large(Arc::new(value.clone())));
            let left_out = LeftOut::default();
            let value = step.fit(&schema, value, &left_out);
            Fitted {
                kept,
                value,
                left_out: left_out.into_first(),
            }
        };
        Fitting {
            work: Box::pin(async { Ok(offload(fit).await?) }),
            covered,
            deadline,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Fitted, LookupError>> {
        self.work.as_mut().poll(cx)
    }
}

/// Whether a value holds a text that takes long to read, if its target is not a text.
pub(super) fn has_long_text(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.as_bytes().len() > LARGE_BYTES,
        Value::Bytes(bytes) => bytes.len() > LARGE_BYTES,
        Value::Record(record) => record.values.iter().any(has_long_text),
        Value::List(values) => values.iter().any(has_long_text),
        Value::Map(pairs) => pairs.iter().any(|(_, value)| has_long_text(value)),
        _ => false,
    }
}
