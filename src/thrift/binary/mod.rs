//! The binary protocol: fixed-width numbers in network order, a length before each string.
//!
//! In: one message that is wholly there, or a buffer to append to. Out: values, or bytes. Strict and old
//! binary differ in the message's head alone. Spec: `doc/specs/thrift-binary-protocol.md` of Apache Thrift.

mod input;
mod output;

use thrift::protocol::TType;

use super::WireError;
use super::error::unknown_type;

pub use input::BinaryInput;
pub use output::BinaryOutput;

/// Version 1 in the upper half of the head's first word.
pub(super) const VERSION: u32 = 0x8001_0000;

/// The type that `number` stands for.
#[inline]
pub(crate) fn type_of(number: u8) -> Option<TType> {
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

/// The same for elements; an empty container's type may be anything.
#[inline]
pub(crate) fn element_type(number: u8, count: usize) -> Result<TType, WireError> {
    match type_of(number) {
        Some(ty) => Ok(ty),
        None if count == 0 => Ok(TType::Stop),
        None => Err(unknown_type(number)),
    }
}

/// The fewest bytes a value of `ty` takes: exact for types of fixed width.
#[inline]
pub(crate) fn bytes_min(ty: TType) -> usize {
    match ty {
        TType::I16 => 2,
        TType::I32 | TType::String => 4,
        TType::I64 | TType::Double => 8,
        TType::Uuid => 16,
        TType::List | TType::Set => 5,
        TType::Map => 6,
        // Bool and i8; a struct is at least its stop byte.
        _ => 1,
    }
}

/// The number that `ty` is written as.
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
        // Never asked for: `wire_type` yields none of these.
        TType::Stop | TType::Void | TType::Utf7 => 0,
    }
}
