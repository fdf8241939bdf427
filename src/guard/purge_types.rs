//! Checks whether a value that an operator writes as JSON can be that of a lookup's parameter at all: with a value of another
//! type nothing would ever be removed, and nothing would say why.

use std::sync::Arc;

use serde_json::json;

use crate::coerce::Sampler;
use crate::idl::{Field, Schema, Type};
use crate::plan::{LookupId, Reference, Root, Step};
use crate::program::Program;
use crate::value::{Value, parse_uuid};

/// What would be right for the parameter called `name`, at `place`, of a lookup, if no view binds it to anything that could have
/// this value. `None` if one does, or if that is not known.
pub(super) fn misfit(
    program: &Program,
    (lookup, place, name): (LookupId, usize, &str),
    value: &Value,
) -> Option<String> {
    let mut wanted = None;
    for service in &program.services {
        let schema = &service.schema;
        for plan in service.plans.values() {
            let params = service.service().method(&plan.method)?.params;
            let steps = plan.steps.iter().flat_map(Step::attempts);
            for step in steps.filter(|step| step.lookup == lookup) {
                let params = &schema.get(params).fields;
                let reference = step.bindings.get(place)?.reference()?;
                let ty = match reference.root {
                    // Each element is asked on its own.
                    Root::Item => {
                        let of = type_of(schema, params, &step.foreach.as_ref()?.over)?;
                        let (Type::List(of) | Type::Set(of)) = of else {
                            return None;
                        };
                        along(schema, of, &reference.path)?
                    }
                    _ => type_of(schema, params, reference)?,
                };
                if can_be(schema, ty, value) {
                    return None;
                }
                wanted.get_or_insert((schema, ty));
            }
        }
    }
    let (schema, ty) = wanted?;
    let example = json!({ name: Sampler::new(schema).value(name, ty) });
    Some(format!(
        "`{name}` is {}, and {} is not: write it as in {example}",
        schema.describe(ty),
        value.kind(),
    ))
}

/// The type of what a reference to one of these parameters means.
fn type_of<'s>(schema: &'s Schema, params: &'s [Field], reference: &Reference) -> Option<&'s Type> {
    let Root::Param(at) = reference.root else {
        return None;
    };
    along(schema, &params.get(at)?.ty, &reference.path)
}

/// The type of the field at the end of a path.
fn along<'s>(schema: &'s Schema, ty: &'s Type, path: &[Arc<str>]) -> Option<&'s Type> {
    path.iter().try_fold(ty, |ty, name| match ty {
        Type::Struct(id) => Some(&schema.get(*id).field(name)?.1.ty),
        _ => None,
    })
}

/// Whether a value of this type may be written so.
fn can_be(schema: &Schema, ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::Any, _)
        | (Type::Bool, Value::Bool(_))
        | (Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_), Value::I64(_))
        | (Type::Double, Value::I64(_) | Value::Double(_))
        | (Type::String | Type::Binary, Value::Text(_))
        | (Type::Map(..), Value::Map(_)) => true,
        (Type::Uuid, Value::Text(text)) => parse_uuid(text.as_str()).is_some(),
        (Type::Enum(of), Value::Text(text)) => {
            let mut names = of.values.iter();
            names.any(|(name, _)| **name == *text.as_str())
        }
        (Type::Struct(id), Value::Map(pairs)) => pairs.iter().all(|(name, _)| {
            let name = name.as_str().unwrap_or_default();
            schema.get(*id).field(name).is_some()
        }),
        (Type::List(of) | Type::Set(of), Value::List(items)) => {
            items.iter().all(|item| can_be(schema, of, item))
        }
        _ => false,
    }
}
