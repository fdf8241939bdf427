//! `fetch(view, params, context)`: a call of a view by somebody without its IDL.
//!
//! It is admitted as a call of that view: the same callers may, the same limits and deadlines hold, it counts into the
//! same metrics. Only its parameters and its result go another way: [`super::fit`] and [`super::shown`] stand between
//! them and the view's types.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::fit::Fitting;
use super::{Asked, Method, schema, shown};
use crate::coerce::Coercion;
use crate::context::Context;
use crate::diagnostic::nearest;
use crate::error::Code;
use crate::idl::Type;
use crate::plan::{Plan, ReplyShape};
use crate::program::Program;
use crate::service::{Admission, Answer, Service, caller, context, exception::CallError, log};
use crate::service::call::{Call, EntryPoint, InFlight};
use crate::thrift::{Appendix as _, Limits, Protocol, decode_field, decode_struct};
use crate::value::Value;

/// As much of a name that is not known is said again.
const NAME_SHOWN: usize = 64;

impl Service {
    /// Decides what becomes of a call by this door, before its parameters are read.
    pub(super) fn admit_fetch(self: &Rc<Self>, asked: Asked<'_>) -> Admission {
        let arrival = asked.arrival;
        let found = view_of(
            &self.program,
            arrival.wire_format.protocol,
            &asked.body,
            &self.limits,
        );
        let admitted = found.and_then(|plan| match self.refusal(plan, arrival) {
            None => Ok(plan),
            Some(code) => {
                self.metrics.refused(Some(plan.index), code);
                Err(CallError {
                    about: caller::hint(code, arrival),
                    ..CallError::new(code)
                })
            }
        });
        let plan = match admitted {
            Ok(plan) => plan,
            Err(err) => {
                log::refused_meta(Method::Fetch.name(), &err, asked.request_id());
                if matches!(err.code, Code::CallBadParams | Code::CallUnknownMethod) {
                    self.metrics.meta(Err(err.code));
                }
                return if asked.oneway {
                    Admission::Nothing
                } else {
                    Admission::Reply(self.throw(asked.to(), Method::Fetch, &err))
                };
            }
        };
        let reservation = arrival.reservation(asked.body.len());
        Admission::Call(Call {
            shape: arrival.shape,
            metadata: asked.metadata,
            plan: Arc::clone(plan),
            sequence: asked.sequence,
            body: asked.body,
            arrived: arrival.at,
            oneway: asked.oneway,
            entry_point: EntryPoint::Fetch,
            in_flight: InFlight::take(self, plan.index, reservation),
        })
    }

    /// The parameters of the view, by its own types, and the context.
    pub(in crate::service) async fn fetch_params(
        &self,
        call: &Call,
    ) -> Result<(Vec<Value>, Context), CallError> {
        let params = Method::Fetch.plan().params;
        let mut given = call.decode(schema(), params, &self.limits).await?;
        let mut take = |name: &str| {
            let at = given.names.position(name);
            at.map_or(Value::Null, |at| std::mem::take(&mut given.values[at]))
        };
        let (params, own_context) = (take("params"), take("context"));
        let plan = &*call.plan;
        let schema = &self.program.schema;
        let own = match plan.context_param.filter(|_| !own_context.is_null()) {
            Some(at) => {
                // The operator's IDL may have another version of it.
                let ty = &schema.get(plan.params).fields[at].ty;
                let fitted = Coercion::new(schema, false).value(own_context.clone(), ty);
                Some((at, fitted.map_err(|why| bad(format!("context: {why}")))?))
            }
            None => None,
        };
        let mut fitting = Fitting::new(schema, self.limits.values_max);
        let values = fitting.params(plan.params, params, own).map_err(bad)?;
        let in_params = plan.context_param.and_then(|at| values.get(at));
        let param = if own_context.is_null() {
            in_params
        } else {
            Some(&own_context)
        };
        let context = context::of_call(plan, param, call.arrived, call.given());
        Ok((values, context))
    }

    /// The bytes of the answer to a call by this door.
    pub(in crate::service) fn write_fetched(
        &self,
        call: &Call,
        answer: Result<Answer, CallError>,
    ) -> BytesMut {
        let to = (call.to(), call.sequence);
        match answer {
            Ok(answer) => self.write_told(to, Method::Fetch, &self.shown(call, answer)),
            Err(err) => self.throw(to, Method::Fetch, &err),
        }
    }

    /// A result with its report, told without its types.
    fn shown(&self, call: &Call, answer: Answer) -> Value {
        let (schema, protocol) = (&self.program.schema, call.wire_format.protocol);
        let report = self.report_of(&call.plan, protocol, &answer).map(|report| {
            let mut bytes = BytesMut::new();
            report.append(&mut bytes);
            bytes.freeze()
        });
        let mut value = answer.value;
        if let (Some(report), Some(of), Some(at), Value::Record(record)) = (
            report,
            schema.standard.report,
            call.plan.report_field,
            &mut value,
        ) {
            let report = decode_struct(schema, of, protocol, &report, &Limits::default());
            record.values[at] = report.unwrap_or_default();
        }
        match &call.plan.reply {
            ReplyShape::Void => Value::Null,
            ReplyShape::Whole(ty) => shown::shown(schema, ty, value),
            ReplyShape::Struct(id) => shown::shown(schema, &Type::Struct(*id), value),
        }
    }
}

/// The view that is asked for.
fn view_of<'a>(
    program: &'a Program,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<&'a Arc<Plan>, CallError> {
    let view = decode_field(1, &Type::String, protocol, body, limits);
    let view = view.map_err(|err| CallError::bad_params(&err))?;
    let name = view.as_ref().and_then(Value::as_str);
    let name = name.ok_or_else(|| bad("`view` is missing".into()))?;
    let plan = program.plans.get(name);
    plan.ok_or_else(|| no_view(program, name))
}

/// There is no view of that name.
pub(super) fn no_view(program: &Program, name: &str) -> CallError {
    let end = name.floor_char_boundary(NAME_SHOWN);
    let known = program.plans.keys().map(|name| &**name);
    let near = match nearest(name, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    CallError {
        about: Some(format!("there is no view `{}`{near}", &name[..end])),
        ..CallError::new(Code::CallUnknownMethod)
    }
}

fn bad(about: String) -> CallError {
    CallError {
        about: Some(about),
        ..CallError::new(Code::CallBadParams)
    }
}
