//! `fetch(view, params, context)`: calls a view without its IDL.
//!
//! The call is admitted like a call of that view: the same callers are allowed, the same limits and deadlines apply, and
//! the same metrics count it. Only its parameters and its result are converted: [`super::fit`] gives parameters their types,
//! [`super::self_describing`] removes the types from the result.

use std::sync::Arc;

use bytes::Bytes;

use super::fit::Fitting;
use super::method::{Method, schema};
use super::self_describing::self_describing;
use crate::coerce::Coercion;
use crate::context::Context;
use crate::diagnostic::nearest;
use crate::error::Code;
use crate::idl::{Schema, Type};
use crate::offload::{LARGE_VALUES, offload};
use crate::plan::{Plan, ReplyShape};
use crate::program::{ServedService, view};
use crate::service::call::Call;
use crate::service::call_error::CallError;
use crate::service::reserve::Reserves;
use crate::service::{context, params};
use crate::thrift::{Limits, Protocol, decode_field, decode_struct};
use crate::value::Value;

/// Longer names of unknown views are cut in messages.
const NAME_SHOWN: usize = 64;

/// The view that a call names, read before its other parameters.
pub(in crate::service) fn view_of<'a>(
    services: &'a [ServedService],
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<&'a Arc<Plan>, CallError> {
    let named = decode_field(1, &Type::String, protocol, body, limits);
    let named = named.map_err(|err| CallError::bad_params(&err))?;
    let name = named.as_ref().and_then(Value::as_str);
    let name = name.ok_or_else(|| bad("`view` is missing".into()))?;
    let plan = view(services, name);
    plan.ok_or_else(|| no_view(services, name))
}

/// The parameters of the view, by its own types, and the context of the call.
pub(in crate::service) async fn params(
    call: &Call,
    (schema, reserves): (&Arc<Schema>, &Reserves),
    limits: &Limits,
) -> Result<(Vec<Value>, Context), CallError> {
    let of_fetch = (self::schema(), Method::Fetch.plan().params);
    let mut given = params::decode(call, of_fetch, limits).await?;
    let mut take = |name: &str| {
        let at = given.names.position(name);
        at.map_or(Value::Null, |at| std::mem::take(&mut given.values[at]))
    };
    let (params, own_context) = (take("params"), take("context"));
    let plan = &*call.plan;
    let own = match plan.context_param.filter(|_| !own_context.is_null()) {
        Some(at) => {
            // The operator's IDL may declare another version of it.
            let ty = &schema.get(plan.params).fields[at].ty;
            let fitted = Coercion::new(schema, false).value(own_context.clone(), ty);
            Some((at, fitted.map_err(|why| bad(format!("context: {why}")))?))
        }
        None => None,
    };
    let fit = {
        let (schema, of, values_max) = (Arc::clone(schema), plan.params, limits.values_max);
        let is_large = params.is_more_than(LARGE_VALUES);
        let fit = move || Fitting::new(&schema, values_max).params(of, params, own);
        if is_large {
            offload(fit).await
        } else {
            Ok(fit())
        }
    };
    let values = fit.map_err(CallError::of_work)?.map_err(bad)?;
    let in_params = plan.context_param.and_then(|at| values.get(at));
    let param = if own_context.is_null() {
        in_params
    } else {
        Some(&own_context)
    };
    let context = context::of_call(call, param, reserves);
    Ok((values, context))
}

/// The result of a view as a value that describes itself, with its report, which was written in that protocol.
pub(in crate::service) fn result(
    schema: &Schema,
    plan: &Plan,
    mut value: Value,
    report: Option<(Protocol, Bytes)>,
) -> Value {
    if let (Some((protocol, report)), Some(of), Some(at), Value::Record(record)) = (
        report,
        schema.standard.report,
        plan.report_field,
        &mut value,
    ) {
        let report = decode_struct(schema, of, protocol, &report, &Limits::default());
        record.values[at] = report.unwrap_or_default();
    }
    match &plan.reply {
        ReplyShape::Void => Value::Null,
        ReplyShape::Whole(ty) => self_describing(schema, ty, value),
        ReplyShape::Struct(id) => self_describing(schema, &Type::Struct(*id), value),
    }
}

/// There is no view of that name.
pub(super) fn no_view(services: &[ServedService], name: &str) -> CallError {
    let end = name.floor_char_boundary(NAME_SHOWN);
    let plans = services.iter().flat_map(|of| of.plans.values());
    let same: Vec<_> = plans.clone().filter(|plan| *plan.method == *name).collect();
    let named = plans.map(|plan| {
        if name.contains(':') {
            &*plan.label
        } else {
            &*plan.method
        }
    });
    let near = match (&same[..], nearest(name, named)) {
        ([one, other, ..], _) => {
            format!(" alone; did you mean `{}` or `{}`?", one.label, other.label)
        }
        (_, Some(near)) => format!("; did you mean `{near}`?"),
        (_, None) => String::new(),
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
