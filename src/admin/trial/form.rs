//! Describes a method as a form needs it: each parameter with its type, what may be chosen, its default and an example.

use serde_json::{Value as Json, json};

use super::found::Found;
use crate::coerce::{Sampler, to_json};
use crate::diagnostic::names_secret;
use crate::idl::{Field, Requiredness, Schema, StructId, Type};

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
        "secret": is_secret(schema, field),
        "values": values(&field.ty),
        "required": field.requiredness == Requiredness::Required && default.is_none(),
        "default": default.map(|default| to_json(schema, &field.ty, default)),
        "doc": field.doc,
        "example": Sampler::new(schema).value(&field.name, &field.ty),
    })
}

/// Whether its value, or one inside it, has the name of a secret: logs hide those, and so does the form.
fn is_secret(schema: &Schema, field: &Field) -> bool {
    names_secret(&field.name) || has_secret(schema, &field.ty, &mut Vec::new())
}

/// Whether a field of a struct in `ty` has the name of a secret. `seen` are structs that were looked at.
fn has_secret(schema: &Schema, ty: &Type, seen: &mut Vec<StructId>) -> bool {
    match ty {
        Type::Struct(id) if !seen.contains(id) => {
            seen.push(*id);
            let mut fields = schema.get(*id).fields.iter();
            fields.any(|field| names_secret(&field.name) || has_secret(schema, &field.ty, seen))
        }
        Type::List(of) | Type::Set(of) => has_secret(schema, of, seen),
        Type::Map(key, of) => has_secret(schema, key, seen) || has_secret(schema, of, seen),
        _ => false,
    }
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
