//! Defines the numbers of the binary protocol.

use thrift::protocol::TType;

use crate::thrift::error::{WireError, unknown_type};

/// Version 1 in the upper half of the head's first word.
pub(super) const VERSION: u32 = 0x8001_0000;

/// Binary; `STRICT` says whether messages begin with a version.
pub(crate) struct Binary<const STRICT: bool>;

/// Binary with a version in each message's head.
pub(crate) type Strict = Binary<true>;
/// Binary without it.
pub(crate) type Old = Binary<false>;

/// The type that `number` stands for.
#[inline]
pub(super) fn type_of(number: u8) -> Option<TType> {
    Some(match number {
        2 => TType::Bool,
        3 => TType::I08,
        4 => TType::Double,
        6 => TType::I16,
        8 => TType::I32,
        10 => TType::I64,
        11 => TType::String,
        12 => TType::Struct,
        13 => TType::Map,
        14 => TType::Set,
        15 => TType::List,
        16 => TType::Uuid,
        _ => return None,
    })
}

/// The same for elements. An empty container may declare any type.
#[inline]
pub(super) fn element_type(number: u8, count: usize) -> Result<TType, WireError> {
    match type_of(number) {
        Some(ty) => Ok(ty),
        None if count == 0 => Ok(TType::Stop),
        None => Err(unknown_type(number)),
    }
}

/// The fewest bytes that a value of `ty` takes; exact for types of fixed width.
#[inline]
pub(super) fn bytes_min(ty: TType) -> usize {
    match ty {
        TType::I16 => 2,
        TType::I32 | TType::String => 4,
        TType::I64 | TType::Double => 8,
        TType::Uuid => 16,
        TType::List | TType::Set => 5,
        TType::Map => 6,
        // Bools and i8; a struct has at least its stop byte.
        _ => 1,
    }
}

/// The number that stands for `ty`.
#[inline]
pub(super) fn number_of(ty: TType) -> u8 {
    match ty {
        TType::Bool => 2,
        TType::I08 => 3,
        TType::Double => 4,
        TType::I16 => 6,
        TType::I32 => 8,
        TType::I64 => 10,
        TType::String => 11,
        TType::Struct => 12,
        TType::Map => 13,
        TType::Set => 14,
        TType::List => 15,
        TType::Uuid => 16,
        // Never written: `wire_type` returns none of these.
        TType::Stop | TType::Void | TType::Utf7 => 0,
    }
}
