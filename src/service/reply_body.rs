//! What the message of a result contains.

use crate::idl::Schema;
use crate::plan::{Plan, ReplyShape};
use crate::thrift::{Appendix, Body};
use crate::value::Value;

/// Passes the body of a result to `write`. `report` is its last field.
#[inline]
pub(super) fn with_body<T>(
    plan: &Plan,
    schema: &Schema,
    value: &Value,
    report: Option<&dyn Appendix>,
    write: impl FnOnce(Body<'_>) -> T,
) -> T {
    match &plan.reply {
        ReplyShape::Void => write(Body::Fields {
            schema,
            fields: &[],
        }),
        ReplyShape::Whole(ty) => write(Body::Fields {
            schema,
            fields: &[(0, ty, value)],
        }),
        ReplyShape::Struct(id) => {
            let report_id = plan.report_field.map(|at| schema.get(*id).fields[at].id);
            write(Body::Struct {
                schema,
                id: *id,
                record: value,
                last: report_id.zip(report),
            })
        }
    }
}
