//! Maps the types of the IDL to types on the wire.

use thrift::protocol::TType;

use crate::idl::Type;

/// The wire type of `ty`.
#[inline]
pub(super) fn wire_type(ty: &Type) -> TType {
    match ty {
        Type::Bool => TType::Bool,
        Type::I8 => TType::I08,
        Type::I16 => TType::I16,
        Type::I32 | Type::Enum(_) => TType::I32,
        Type::I64 => TType::I64,
        Type::Double => TType::Double,
        Type::String | Type::Binary => TType::String,
        Type::Uuid => TType::Uuid,
        Type::Struct(_) | Type::Any => TType::Struct,
        Type::List(_) => TType::List,
        Type::Set(_) => TType::Set,
        Type::Map(..) => TType::Map,
    }
}
