//! The `Tributary` service: describes the server itself, and offers the operator's views to clients without their IDL.
//!
//! In: a call whose method is not one of the operator's. Out: its answer, without any lookup; only `fetch` becomes a call of the
//! view that it names. All types are those of the program's own standard include.

mod describe;
mod explain;
pub(super) mod fetch;
mod fit;
mod health;
mod idl;
mod method;
mod self_describing;
mod value;

use std::rc::Rc;
use std::sync::Arc;

use super::arrival::Message;
use super::call_error::CallError;
use super::log;
use crate::coerce::Coercion;
use crate::error::Code;
use crate::guard::Guards;
use crate::metrics::ProgramMetrics;
use crate::plan::ReplyShape;
use crate::program::{Program, ServedService};
use crate::thrift::{Limits, decode_struct};
use crate::value::Value;
pub(super) use method::Method;

/// Answers calls about one program on one loop.
pub(super) struct Introspection {
    program: Arc<Program>,
    guards: Rc<Guards>,
    limits: Limits,
    metrics: Rc<ProgramMetrics>,
}

/// A call of one of the methods, except `fetch`.
pub(super) struct MetaCall<'a> {
    pub(super) method: Method,
    pub(super) message: Message<'a>,
    /// The services that it is about, at least one.
    pub(super) services: &'a [ServedService],
}

impl Introspection {
    pub(super) fn new(
        program: &Arc<Program>,
        guards: &Rc<Guards>,
        limits: Limits,
        metrics: &Rc<ProgramMetrics>,
    ) -> Self {
        method::prepare();
        Introspection {
            program: Arc::clone(program),
            guards: Rc::clone(guards),
            limits,
            metrics: Rc::clone(metrics),
        }
    }

    /// Answers a call, without any lookup; logs and counts it.
    #[cold]
    pub(super) fn answer(&self, call: &MetaCall<'_>) -> Result<Value, CallError> {
        let answer = self.value(call);
        self.metrics
            .meta(answer.as_ref().map(drop).map_err(|err| err.code));
        if let Err(err) = &answer {
            log::refused_meta(call.method.name(), err, call.message.request_id());
        }
        answer
    }

    /// The answer by the method's result type.
    fn value(&self, call: &MetaCall<'_>) -> Result<Value, CallError> {
        let (plan, schema) = call.method.signature();
        let message = &call.message;
        let protocol = message.arrival.wire_format.protocol;
        let params = decode_struct(schema, plan.params, protocol, &message.body, &self.limits);
        let params = params.map_err(|err| CallError::bad_params(&err))?;
        let value = match call.method {
            Method::Describe => describe::describe(&self.program, call.services),
            Method::Idl => idl::idl(call.services),
            Method::Explain => explain::explain(&self.program, call.services, &params)?,
            Method::Health => health::health(&self.guards, &self.metrics.loop_metrics),
            Method::Fetch => return Err(CallError::new(Code::ServerInternal)),
        };
        let ReplyShape::Whole(ty) = &plan.reply else {
            return Err(CallError::new(Code::ServerInternal));
        };
        let typed = Coercion::new(schema, false).value(value, ty);
        typed.map_err(|why| CallError {
            detail: Some(why),
            ..CallError::new(Code::ServerInternal)
        })
    }
}

#[cfg(test)]
mod tests;
