//! `explain(method)`: the output of `tributary explain`, as text and as data.

use super::value::{list, record};
use crate::explain::{Explanation, LookupExplanation};
use crate::program::{Program, ServedService, view};
use crate::service::call_error::CallError;
use crate::value::Value;

pub(super) fn explain(
    program: &Program,
    services: &[ServedService],
    params: &Value,
) -> Result<Value, CallError> {
    let method = params.get("method").and_then(Value::as_str);
    let method = method.unwrap_or_default();
    let plan = view(services, method);
    let plan = plan.ok_or_else(|| super::fetch::no_view(services, method))?;
    let explanation = Explanation::of(program, plan);
    let deadline = i64::try_from(explanation.deadline.as_millis());
    let text = explanation.to_string();
    let stages = list(explanation.stages, |stage| list(stage, lookup));
    Ok(record([
        ("signature", explanation.signature.into()),
        ("deadline_ms", deadline.unwrap_or(i64::MAX).into()),
        ("stages", stages),
        ("longest_chain", explanation.longest_chain.into()),
        ("worst_case", explanation.worst_case.into()),
        ("warnings", explanation.warnings.into()),
        ("text", text.into()),
    ]))
}

fn lookup(lookup: LookupExplanation) -> Value {
    let bindings = list(lookup.bindings, |(param, bound_to)| {
        record([("param", param.into()), ("bound_to", bound_to.into())])
    });
    record([
        ("name", lookup.name.into()),
        ("backend", lookup.backend.into()),
        ("kind", lookup.kind.into()),
        ("lookup", lookup.lookup.into()),
        ("after", lookup.after.into()),
        ("facts", lookup.facts.into()),
        ("batching", lookup.batching.into()),
        ("bindings", bindings),
        ("fills", lookup.fills.into()),
    ])
}
