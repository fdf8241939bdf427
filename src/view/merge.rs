//! Merges values into one reply, in declared order. Pure: no await, no IO, no clock.
//!
//! In: a plan and one value per step, fitted to its target, or null. Out: the typed value of the reply. The order in
//! which answers arrived can't matter, because it is unknown here.

use crate::coerce::Coercion;
use crate::idl::{Schema, StructId, Type};
use crate::plan::{Plan, ReplyShape, Target};
use crate::value::{Record, Value};

/// Why there is no reply although every required lookup has a value: `merge.missing_field`, or
/// `merge.type` for a default that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeError {
    /// For the log: which field, and why.
    pub detail: String,
}

/// The reply; `Value::Null` for `void`.
pub fn merge(plan: &Plan, schema: &Schema, mut values: Vec<Value>) -> Result<Value, MergeError> {
    match &plan.reply {
        ReplyShape::Void => Ok(Value::Null),
        ReplyShape::Whole(_) => {
            let is_whole = |at: &usize| matches!(plan.steps[*at].target, Target::Whole(_));
            let whole = plan.declared.iter().copied().find(is_whole);
            match whole.map(|at| std::mem::take(&mut values[at])) {
                // It is required, so it is missing only if its `when` did not hold.
                None | Some(Value::Null) => Err(MergeError {
                    detail: "the method returns one value, whose `when` did not hold".into(),
                }),
                Some(value) => Ok(value),
            }
        }
        ReplyShape::Struct(id) => {
            let mut reply = match &plan.placing {
                // The usual case.
                Some(placing) => {
                    placing.place(&mut values);
                    values
                }
                None => assemble(plan, schema, *id, values)?,
            };
            // The report is added after the merge. It is the only field that may still be missing here.
            complete(schema, *id, &mut reply, plan.report_field)?;
            Ok(Value::Record(Record {
                names: schema.get(*id).names.clone(),
                values: reply,
            }))
        }
    }
}

/// The fields of a reply that are filled in any way.
fn assemble(
    plan: &Plan,
    schema: &Schema,
    id: StructId,
    mut values: Vec<Value>,
) -> Result<Vec<Value>, MergeError> {
    let mut reply = empty(schema, id);
    for &at in &plan.declared {
        let value = std::mem::take(&mut values[at]);
        if !value.is_null() {
            place(schema, id, &mut reply, &plan.steps[at].target, value);
        }
    }
    for step in &plan.steps {
        if let Target::Field { path, .. } = &step.target
            && path.len() > 1
        {
            complete_along(schema, id, &mut reply, path)?;
        }
    }
    Ok(reply)
}

fn empty(schema: &Schema, id: StructId) -> Vec<Value> {
    let count = schema.get(id).fields.len();
    std::iter::repeat_with(Value::default).take(count).collect()
}

fn place(schema: &Schema, id: StructId, reply: &mut [Value], target: &Target, value: Value) {
    match target {
        Target::Field { path, .. } => match path[..] {
            // A field of the reply itself.
            [at] => reply[at].fill(value),
            _ => place_at(schema, id, reply, path, value),
        },
        Target::Spread { fields, .. } => {
            if let Value::Record(record) = value {
                let mut values = record.values;
                for &at in fields {
                    reply[at] = std::mem::take(&mut values[at]);
                }
            }
        }
        Target::Nothing | Target::Whole(_) => {}
    }
}

/// Puts `value` at a path of fields, and makes the structs on the way.
fn place_at(schema: &Schema, id: StructId, fields: &mut [Value], path: &[usize], value: Value) {
    let (&at, rest) = path.split_first().expect("a target's path is never empty");
    if rest.is_empty() {
        fields[at].fill(value);
        return;
    }
    let Type::Struct(inner) = schema.get(id).fields[at].ty else {
        return;
    };
    if fields[at].is_null() {
        let names = schema.get(inner).names.clone();
        fields[at] = Value::Record(Record {
            names,
            values: empty(schema, inner),
        });
    }
    if let Value::Record(record) = &mut fields[at] {
        place_at(schema, inner, &mut record.values, rest, value);
    }
}

/// Gives unset fields their defaults and refuses a struct without a required one.
fn complete(
    schema: &Schema,
    id: StructId,
    values: &mut [Value],
    skip: Option<usize>,
) -> Result<(), MergeError> {
    let coercion = Coercion::new(schema, false);
    for (at, slot) in values.iter_mut().enumerate() {
        if slot.is_null() && Some(at) != skip {
            *slot = coercion
                .field(id, at, Value::Null)
                .map_err(|detail| MergeError { detail })?;
        }
    }
    Ok(())
}

/// As [`complete`], for the structs that were made along `path`.
fn complete_along(
    schema: &Schema,
    id: StructId,
    values: &mut [Value],
    path: &[usize],
) -> Result<(), MergeError> {
    let [at, rest @ ..] = path else { return Ok(()) };
    if rest.is_empty() {
        return Ok(());
    }
    let Type::Struct(inner) = schema.get(id).fields[*at].ty else {
        return Ok(());
    };
    let Value::Record(record) = &mut values[*at] else {
        return Ok(());
    };
    complete_along(schema, inner, &mut record.values, rest)?;
    complete(schema, inner, &mut record.values, None)
}
