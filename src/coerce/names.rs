//! Reads a method's parameters from JSON: the names in its objects must be fields of the structs that they stand for.

use super::value::Coercion;
use crate::diagnostic::suggest;
use crate::idl::{Method, Schema, StructId, Type};
use crate::value::Value;

/// A name that the IDL does not have at this place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// What is wrong, without a final period.
    pub message: String,
    /// Which names there are.
    pub help: String,
}

/// The type of the field `name` of a struct. `walked` is where that is in the parameters, with dots.
pub fn field_type(
    schema: &Schema,
    id: StructId,
    name: &str,
    walked: &str,
) -> Result<Type, UnknownName> {
    let of = schema.get(id);
    if let Some((_, field)) = of.field(name) {
        return Ok(field.ty.clone());
    }
    let names = of.names.iter().map(|name| &**name);
    Err(UnknownName {
        message: if walked.is_empty() {
            format!("the method has no parameter `{name}`")
        } else {
            format!("`{walked}` ({}) has no field `{name}`", of.name)
        },
        help: suggest(name, names, || "there are none".into()),
    })
}

/// Checks that the names in JSON objects that stand for structs are fields of those structs, at every level.
pub fn known_names(
    schema: &Schema,
    ty: &Type,
    value: &Value,
    walked: &str,
) -> Result<(), UnknownName> {
    match (ty, value) {
        (Type::Struct(id), Value::Map(pairs)) => {
            for (key, value) in pairs {
                let name = key.as_str().unwrap_or_default();
                let ty = field_type(schema, *id, name, walked)?;
                let walked = if walked.is_empty() {
                    name.to_owned()
                } else {
                    format!("{walked}.{name}")
                };
                known_names(schema, &ty, value, &walked)?;
            }
            Ok(())
        }
        (Type::List(of) | Type::Set(of), Value::List(items)) => items
            .iter()
            .try_for_each(|item| known_names(schema, of, item, walked)),
        (Type::Map(_, of), Value::Map(pairs)) => pairs
            .iter()
            .try_for_each(|(_, value)| known_names(schema, of, value, walked)),
        _ => Ok(()),
    }
}

/// The parameters of a method that a JSON object describes, with the IDL's types. `Err`: what is wrong with it.
pub fn params_of_json(schema: &Schema, method: &Method, tree: Value) -> Result<Value, String> {
    let params = Type::Struct(method.params);
    if !matches!(tree, Value::Map(_)) {
        return Err(format!("expected an object, found {}", tree.kind()));
    }
    known_names(schema, &params, &tree, "")
        .map_err(|unknown| format!("{}: {}", unknown.message, unknown.help))?;
    Coercion::new(schema, false)
        .written()
        .value(tree, &params)
        .map_err(|why| format!("the parameters do not fit: {why}"))
}
