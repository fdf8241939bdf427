//! Says how to write a value of a type, as the remedy for a constant that does not fit.

use super::super::schema::{Schema, Type};

/// For example "write `[value, ...]`".
pub(super) fn expected(schema: &Schema, ty: &Type) -> String {
    match ty {
        Type::Bool => "write `true` or `false`".into(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            "write an integer, such as 5 or 0x1F".into()
        }
        Type::Double => "write a number, such as 0.5".into(),
        Type::String | Type::Binary => "write text in quotes".into(),
        Type::Uuid => "write the uuid in quotes".into(),
        Type::Enum(of) => {
            let own = of.name.rsplit('.').next().unwrap_or(&of.name);
            match of.values.first() {
                Some((name, _)) => format!("write one of its values, such as `{own}.{name}`"),
                None => format!("`{own}` has no values"),
            }
        }
        Type::List(_) | Type::Set(_) => "write its elements as `[value, ...]`".into(),
        Type::Map(..) => "write its pairs as `{key: value, ...}`".into(),
        Type::Any => "there are no constants of this type".into(),
        Type::Struct(id) => match schema.get(*id).names.first() {
            Some(name) => format!("write its fields as `{{\"{name}\": value, ...}}`"),
            None => "write `{}`: it has no fields".into(),
        },
    }
}
