//! Which required fields of a reply may stay without a value. Pure.

use super::compiled::{Plan, ReplyShape, Step, Target};
use crate::idl::{Requiredness, Schema, StructKind};

/// A required field that no lookup is sure to fill.
#[derive(Clone, Debug)]
pub struct Unsure<'a> {
    /// Its name.
    pub field: &'a str,
    /// One that fills it, if it has a value.
    pub step: &'a Step,
}

impl Unsure<'_> {
    /// What may happen.
    pub fn message(&self) -> String {
        let (field, name) = (self.field, &self.step.name);
        format!(
            "required field `{field}` of the reply has no value whenever {name} has none, and the call fails"
        )
    }

    /// What would be right.
    pub fn help(&self) -> String {
        let name = &self.step.name;
        let sure = if self.step.when.is_some() {
            format!("drop the `when` of {name} and mark it `required`")
        } else if self.step.default.is_some() {
            format!("mark {name} `required`")
        } else {
            format!("mark {name} `required`, give it a `default`")
        };
        format!("{sure}, or make the field optional")
    }
}

/// The required fields of `plan`'s reply that a call may leave without a value: `merge.missing_field`.
pub fn unsure<'a>(schema: &'a Schema, plan: &'a Plan) -> Vec<Unsure<'a>> {
    let ReplyShape::Struct(id) = &plan.reply else {
        return Vec::new();
    };
    let of = schema.get(*id);
    if of.kind == StructKind::Union {
        return Vec::new();
    }
    let needed = of.fields.iter().enumerate().filter(|(at, field)| {
        field.requiredness == Requiredness::Required
            && field.default.is_none()
            && plan.report_field != Some(*at)
    });
    let unsure = needed.filter_map(|(at, field)| {
        let fills = |step: &&Step| match &step.target {
            Target::Field { path, .. } => path[0] == at,
            Target::Spread { fields, .. } => fields.contains(&at),
            Target::Nothing | Target::Whole(_) => false,
        };
        let mut steps = plan.steps.iter().filter(fills);
        let step = steps.clone().next()?;
        let field = &*field.name;
        (!steps.any(is_sure)).then_some(Unsure { field, step })
    });
    unsure.collect()
}

/// Whether a call that succeeds has a value of the step.
fn is_sure(step: &Step) -> bool {
    // The default of a `foreach` is that of its elements.
    let covered = step.default.is_some() && !step.default_on_empty && step.foreach.is_none();
    step.when.is_none() && (step.required || covered)
}
