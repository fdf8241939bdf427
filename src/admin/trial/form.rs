//! Describes a method as a form needs it: each parameter with its type, what may be chosen, its default and an example.

use serde_json::{Value as Json, json};

use super::found::Found;
use crate::coerce::{Sampler, to_json};
use crate::idl::{Field, Requiredness, Schema, Type};

/// The form of a method.
pub(super) fn form(found: &Found<'_>) -> Json {
    let (schema, method) = (&*found.of.schema, found.method);
    let params = &schema.get(method.params).fields;
    let throws = method.throws.iter().map(|of| schema.describe(&of.ty));
    json!({
        "method": &*found.plan.label,
        "doc": method.doc,
        "oneway": method.oneway,
        "deadline_ms": u64::try_from(found.plan.deadline.as_millis()).unwrap_or(u64::MAX),
        "restricted": found.plan.allow.is_some(),
        "result": method.result.as_ref().map_or("void".into(), |ty| schema.describe(ty)),
        "throws": throws.collect::<Vec<String>>(),
        "params": params.iter().map(|of| param(schema, of)).collect::<Vec<Json>>(),
    })
}

fn param(schema: &Schema, field: &Field) -> Json {
    let default = field.default.as_ref();
    json!({
        "name": &*field.name,
        "type": schema.describe(&field.ty),
        "kind": kind(&field.ty),
        "values": values(&field.ty),
        "required": field.requiredness == Requiredness::Required && default.is_none(),
        "default": default.map(|default| to_json(schema, &field.ty, default)),
        "doc": field.doc,
        "example": Sampler::new(schema).value(&field.name, &field.ty),
    })
}

/// How a value is entered.
fn kind(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => "integer",
        Type::Double => "number",
        Type::String | Type::Uuid | Type::Binary => "text",
        Type::Enum(_) => "enum",
        Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Any => "json",
    }
}

/// The names of an enum.
fn values(ty: &Type) -> Vec<&str> {
    match ty {
        Type::Enum(of) => of.values.iter().map(|(name, _)| &**name).collect(),
        _ => Vec::new(),
    }
}
