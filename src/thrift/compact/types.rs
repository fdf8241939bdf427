//! Defines the numbers of the compact protocol.

use thrift::protocol::TType;

use crate::thrift::error::{WireError, unknown_type};

/// A message's first byte.
pub(super) const PROTOCOL_ID: u8 = 0x82;
/// The low five bits of the second byte.
pub(super) const VERSION: u8 = 1;
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;

/// Compact.
pub(crate) struct Compact;

/// The type that `number` stands for. Both numbers of a bool occur as element types.
#[inline]
pub(super) fn type_of(number: u8) -> Option<TType> {
    Some(match number {
        1 | 2 => TType::Bool,
        3 => TType::I08,
        4 => TType::I16,
        5 => TType::I32,
        6 => TType::I64,
        7 => TType::Double,
        8 => TType::String,
        9 => TType::List,
        10 => TType::Set,
        11 => TType::Map,
        12 => TType::Struct,
        13 => TType::Uuid,
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

/// The fewest bytes that an element of type `ty` takes.
#[inline]
pub(super) fn bytes_min(ty: TType) -> usize {
    match ty {
        TType::Double => 8,
        TType::Uuid => 16,
        _ => 1,
    }
}

/// The number that stands for `ty`.
#[inline]
pub(super) fn number_of(ty: TType) -> u8 {
    match ty {
        // For elements; in a field the number is the value.
        TType::Bool => TRUE,
        TType::I08 => 3,
        TType::I16 => 4,
        TType::I32 => 5,
        TType::I64 => 6,
        TType::Double => 7,
        TType::String => 8,
        TType::List => 9,
        TType::Set => 10,
        TType::Map => 11,
        TType::Struct => 12,
        TType::Uuid => 13,
        // Never written: `wire_type` returns none of these.
        TType::Stop | TType::Void | TType::Utf7 => 0,
    }
}
