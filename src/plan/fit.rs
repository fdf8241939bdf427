//! Decides whether a lookup's answers can ever fill an IDL type, and finds the fields of a reply to fill. Pure.

use super::reference::Unresolved;
use crate::backend::Yields;
use crate::idl::{Schema, StructId, StructKind, Type};

/// The field at the end of a dotted path: field indices from the outside in, and its type.
pub(super) fn field_at(
    schema: &Schema,
    reply: StructId,
    dotted: &str,
) -> Result<(Vec<usize>, Type), Unresolved> {
    let mut path = Vec::new();
    let mut ty = Type::Struct(reply);
    for name in dotted.split('.') {
        let Type::Struct(id) = ty else {
            let of = schema.describe(&ty);
            return Err(Unresolved {
                message: format!("`{name}` can't be a field of a value of type {of}"),
                known: Vec::new(),
                wanted: name.to_owned(),
            });
        };
        let of = schema.get(id);
        let Some((at, field)) = of.field(name) else {
            return Err(Unresolved {
                message: format!("`{}` has no field `{name}`", of.name),
                known: of.names.iter().map(ToString::to_string).collect(),
                wanted: name.to_owned(),
            });
        };
        path.push(at);
        ty = field.ty.clone();
    }
    Ok((path, ty))
}

/// Whether a lookup that yields `yields` can fill a value of type `ty`. `Err` says why it never can.
pub(super) fn can_fit(schema: &Schema, yields: Yields, ty: &Type) -> Result<(), String> {
    let fits = match yields {
        Yields::Any => true,
        _ if *ty == Type::Any => true,
        Yields::Record => match ty {
            Type::List(_) | Type::Set(_) => false,
            // A row of one column also fits a plain value.
            _ => true,
        },
        Yields::List => matches!(ty, Type::List(_) | Type::Set(_)),
        Yields::Bool => matches!(ty, Type::Bool),
        Yields::Integer => is_number(ty) || matches!(ty, Type::Enum(_)),
        Yields::Double => is_number(ty),
        // Text may hold JSON.
        Yields::Text => !matches!(ty, Type::Bool) && !is_number(ty),
        Yields::Bytes => matches!(ty, Type::Binary | Type::String | Type::Uuid),
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "{} can't fill {}",
            words(yields),
            schema.describe(ty)
        ))
    }
}

fn is_number(ty: &Type) -> bool {
    matches!(
        ty,
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double
    )
}

/// What a lookup yields, for messages.
pub(super) fn words(yields: Yields) -> &'static str {
    match yields {
        Yields::Any => "a value",
        Yields::Record => "one row",
        Yields::List => "a list",
        Yields::Bool => "a bool",
        Yields::Integer => "an integer",
        Yields::Double => "a double",
        Yields::Text => "text",
        Yields::Bytes => "bytes",
    }
}

/// The element type that a `foreach` fills: of a list, a set or a map's values.
pub(super) fn element_of(ty: &Type) -> Option<&Type> {
    match ty {
        Type::List(of) | Type::Set(of) | Type::Map(_, of) => Some(of),
        _ => None,
    }
}

/// The required fields of `reply` that are not in `filled`.
pub(super) fn unfilled(schema: &Schema, reply: StructId, filled: &[usize]) -> Vec<String> {
    let of = schema.get(reply);
    if of.kind == StructKind::Union {
        return Vec::new();
    }
    of.fields
        .iter()
        .enumerate()
        .filter(|(at, field)| {
            field.requiredness == crate::idl::Requiredness::Required
                && field.default.is_none()
                && !filled.contains(at)
        })
        .map(|(_, field)| field.name.to_string())
        .collect()
}
