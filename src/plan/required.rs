//! Finds the required fields of a reply for which no lookup is certain to have a value.

use super::compiled::{Plan, ReplyShape, Step, Target};
use crate::idl::{Requiredness, Schema, StructKind};

/// A required field that no lookup is certain to fill.
#[derive(Clone, Debug)]
pub struct MaybeUnset<'a> {
    /// The field's name.
    pub field: &'a str,
    /// The first step that fills it if that step has a value.
    pub step: &'a Step,
}

impl MaybeUnset<'_> {
    /// What can go wrong.
    pub fn message(&self) -> String {
        let (field, name) = (self.field, &self.step.name);
        format!(
            "required field `{field}` of the reply has no value whenever {name} has none, and the call fails"
        )
    }

    /// How to fix it.
    pub fn help(&self) -> String {
        let name = &self.step.name;
        let fix = if self.step.when.is_some() {
            format!("drop the `when` of {name} and mark it `required`")
        } else if self.step.default.is_some() {
            format!("mark {name} `required`")
        } else {
            format!("mark {name} `required`, give it a `default`")
        };
        format!("{fix}, or make the field optional")
    }
}

/// The required fields of `plan`'s reply that can end in `merge.missing_field`.
pub fn maybe_unset<'a>(schema: &'a Schema, plan: &'a Plan) -> Vec<MaybeUnset<'a>> {
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
    let maybe_unset = needed.filter_map(|(at, field)| {
        let fills = |step: &&Step| match &step.target {
            Target::Field { path, .. } => path[0] == at,
            Target::Spread { fields, .. } => fields.contains(&at),
            Target::Nothing | Target::Whole(_) => false,
        };
        let mut steps = plan.steps.iter().filter(fills);
        let step = steps.clone().next()?;
        let field = &*field.name;
        (!steps.any(always_has_value)).then_some(MaybeUnset { field, step })
    });
    maybe_unset.collect()
}

/// Whether the step has a value in every call that succeeds.
fn always_has_value(step: &Step) -> bool {
    // The default of a `foreach` replaces single elements.
    let covered = step.default.is_some() && !step.default_on_empty && step.foreach.is_none();
    step.when.is_none() && (step.required || covered)
}
