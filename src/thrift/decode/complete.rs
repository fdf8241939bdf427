//! Completes a struct whose fields have been read: default values, required fields, unions.
//!
//! A union with only a field that the IDL does not have comes from a newer one. It has no value here, and neither has
//! what can't be without it: the innermost field around it that need not be set stays unset.

use crate::idl::{Requiredness, StructKind, StructType};
use crate::thrift::budget::Budget;
use crate::thrift::error::{WireError, invalid};
use crate::value::Value;

/// Why a value that was read to its end is unknown here. On its way outwards, to a field that may stay unset.
pub(super) type Unknown = Option<Box<WireError>>;

/// Fills in default values and refuses a struct without its required fields. `skipped`: it had fields that the IDL does
/// not have.
#[inline]
pub(super) fn complete(
    of: &StructType,
    values: &mut [Value],
    skipped: bool,
    budget: &mut Budget,
) -> Result<Unknown, WireError> {
    if of.kind == StructKind::Union {
        return union(of, values, skipped);
    }
    for (field, value) in of.fields.iter().zip(values) {
        if value.is_null() {
            if field.requiredness == Requiredness::Required {
                return Err(invalid(format!(
                    "required field `{}` of `{}` is missing",
                    field.name, of.name
                )));
            }
            if let Some(default) = &field.default {
                // The field was paid for already, the values inside its default value were not.
                budget.spend(held(default))?;
                *value = default.clone();
            }
        }
    }
    Ok(None)
}

fn union(of: &StructType, values: &[Value], skipped: bool) -> Result<Unknown, WireError> {
    match values.iter().filter(|value| !value.is_null()).count() {
        1 => Ok(None),
        0 if skipped => Ok(Some(Box::new(invalid(format!(
            "the field of union `{}` that is set is not in the IDL",
            of.name
        ))))),
        set => Err(invalid(format!(
            "{set} fields of union `{}` are set",
            of.name
        ))),
    }
}

/// Leaves the field at `at` unset if it may be, because its value is unknown. Otherwise the whole struct is unknown. The
/// parameters of a call are only left out where they are `optional`: without them it would be another call.
#[cold]
pub(super) fn leave_out(
    err: WireError,
    (of, is_outermost): (&StructType, bool),
    at: usize,
    values: &mut [Value],
) -> Unknown {
    let field = &of.fields[at];
    let may_be_unset = match field.requiredness {
        _ if of.kind == StructKind::Union => false,
        Requiredness::Required => false,
        Requiredness::Optional => true,
        Requiredness::Default => !is_outermost,
    };
    if may_be_unset {
        values[at] = Value::Null;
        return None;
    }
    Some(Box::new(err.inside(&field.name)))
}

/// How many values `value` contains.
fn held(value: &Value) -> usize {
    let each = |value: &Value| 1 + held(value);
    match value {
        Value::List(items) => items.iter().map(each).sum(),
        Value::Record(record) => record.values.iter().map(each).sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| each(key) + each(value))
            .sum(),
        _ => 0,
    }
}
