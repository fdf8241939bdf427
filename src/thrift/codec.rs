//! The traits that one protocol implements: a reader, a writer, and the rules for skipping values.
//!
//! Everything above works through these traits and is compiled once per implementation, so no value is read or
//! written through dynamic dispatch. `protocol.rs` lists the implementations.

use std::fmt;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TType;

use super::budget::Budget;
use super::error::WireError;
use super::head::{Head, HeadOut};
use super::skip::SkipRules;

/// One protocol.
pub(crate) trait Codec: SkipRules {
    /// Its name in configuration files; log messages show it with blanks for underscores.
    const NAME: &str;
    /// Its number in a `THeader` frame.
    const HEADER_ID: u32;
    /// The first byte of every message.
    const FIRST_BYTE: u8;

    /// Reads values from one whole message.
    type Reader<'m>: ProtocolReader;
    /// Appends values to a buffer.
    type Writer<'o>: ProtocolWriter;

    /// A reader at the start of `message`, or of its body.
    fn reader(message: &Bytes) -> Self::Reader<'_>;
    /// A writer at the end of `out`.
    fn writer(out: &mut BytesMut) -> Self::Writer<'_>;
    /// Whether a message that starts with these two bytes is of this protocol and of a known version.
    fn is_start(start: [u8; 2]) -> bool;
}

/// Reads the tokens of one protocol.
pub(crate) trait ProtocolReader {
    /// A message's head.
    fn head(&mut self) -> Result<Head, WireError>;
    /// The head of a struct's next field, `None` at the end; `last` is the id of the previous field, 0 at first.
    fn field(&mut self, last: i16) -> Result<Option<(TType, i16)>, WireError>;
    /// A field's or an element's bool.
    fn bool(&mut self) -> Result<bool, WireError>;
    /// An `i8`.
    fn i8(&mut self) -> Result<i8, WireError>;
    /// An `i16`.
    fn i16(&mut self) -> Result<i16, WireError>;
    /// An `i32` or an enum.
    fn i32(&mut self) -> Result<i32, WireError>;
    /// An `i64`.
    fn i64(&mut self) -> Result<i64, WireError>;
    /// A `double`.
    fn double(&mut self) -> Result<f64, WireError>;
    /// A `uuid`.
    fn uuid(&mut self) -> Result<[u8; 16], WireError>;
    /// A `string` or `binary`, as a slice of the message.
    fn bytes(&mut self) -> Result<Bytes, WireError>;
    /// The element type and count of a list or set. The rest of the message is long enough for that many
    /// elements. If the count is 0, the type may be [`TType::Stop`].
    fn list(&mut self) -> Result<(TType, usize), WireError>;
    /// A map's key type, value type and count, with the same guarantee.
    fn map(&mut self) -> Result<(TType, TType, usize), WireError>;
    /// Skips the value of a field, or an element that is not a bool.
    fn skip(&mut self, ty: TType, budget: &mut Budget) -> Result<(), WireError>;
    /// How many bytes are left.
    fn remaining(&self) -> usize;
}

/// Writes the tokens of one protocol. Callers have checked that counts and lengths fit an `i32`.
pub(crate) trait ProtocolWriter {
    /// A struct that writes itself.
    fn appendix(&mut self, appendix: &dyn Appendix);
    /// The buffer, if it takes structs that were encoded in binary before.
    #[inline]
    fn binary_buffer(&mut self) -> Option<&mut BytesMut> {
        None
    }
    /// A message's head.
    fn head(&mut self, head: &HeadOut<'_>, name_length: u32);
    /// The head of a field of any type but bool; `last` is the id of the previous field, 0 at first.
    fn field(&mut self, ty: TType, last: i16, id: i16);
    /// A whole bool field.
    fn bool_field(&mut self, last: i16, id: i16, value: bool);
    /// A whole `i64` field.
    #[inline]
    fn i64_field(&mut self, last: i16, id: i16, value: i64) {
        self.field(TType::I64, last, id);
        self.i64(value);
    }
    /// A whole `string` or `binary` field of `length` bytes.
    #[inline]
    fn bytes_field(&mut self, last: i16, id: i16, value: &[u8], length: u32) {
        self.field(TType::String, last, id);
        self.bytes(value, length);
    }
    /// The end of a struct.
    fn stop(&mut self);
    /// A bool element.
    fn bool(&mut self, value: bool);
    /// An `i8`.
    fn i8(&mut self, value: i8);
    /// An `i16`.
    fn i16(&mut self, value: i16);
    /// An `i32` or an enum.
    fn i32(&mut self, value: i32);
    /// An `i64`.
    fn i64(&mut self, value: i64);
    /// A `double`.
    fn double(&mut self, value: f64);
    /// A `uuid`.
    fn uuid(&mut self, value: &[u8; 16]);
    /// A `string` or `binary` of `length` bytes.
    fn bytes(&mut self, value: &[u8], length: u32);
    /// The head of a list or set.
    fn list(&mut self, ty: TType, count: u32);
    /// The head of a map.
    fn map(&mut self, key: TType, value: TType, count: u32);
}

/// A struct that writes itself, in the protocol of the message it is for.
pub trait Appendix: fmt::Debug {
    /// Appends the whole struct.
    fn append(&self, out: &mut BytesMut);
}
