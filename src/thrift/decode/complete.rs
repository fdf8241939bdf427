//! Completes a struct whose fields have been read: default values, required fields, unions.

use crate::idl::{Requiredness, StructKind, StructType};
use crate::thrift::budget::Budget;
use crate::thrift::error::{WireError, invalid};
use crate::value::Value;

/// Fills in default values and refuses a struct without its required fields.
#[inline]
pub(super) fn complete(
    of: &StructType,
    values: &mut [Value],
    budget: &mut Budget,
) -> Result<(), WireError> {
    if of.kind == StructKind::Union {
        return match values.iter().filter(|value| !value.is_null()).count() {
            1 => Ok(()),
            set => Err(invalid(format!(
                "{set} fields of union `{}` are set",
                of.name
            ))),
        };
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
    Ok(())
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
