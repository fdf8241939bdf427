//! The field ids of `tributary.Value`, the union that holds a value of any type.
//!
//! The standard include fixes them and never renumbers them. The union is read and written without a record around the
//! value: see `decode/any.rs` and `encode/any.rs`.

pub(super) const NULL: i16 = 1;
pub(super) const BOOL: i16 = 2;
pub(super) const I64: i16 = 3;
pub(super) const DOUBLE: i16 = 4;
pub(super) const STRING: i16 = 5;
pub(super) const BINARY: i16 = 6;
pub(super) const LIST: i16 = 7;
pub(super) const MAP: i16 = 8;
