//! The Thrift wire formats: turns bytes into messages and values, and back. Knows no sockets, views or backends.
//!
//! The way of a call: [`Framer`] detects the client's [`WireFormat`] and cuts a message out of the stream, with its
//! [`Header`] if the transport is `THeader`; [`read_head`] opens the message; [`decode_struct`] reads its parameters
//! as the [`Schema`](crate::idl::Schema) says; [`write_message`] writes the reply. Every declared size is compared
//! with the bytes that have arrived, and [`Limits`] bounds recursion and memory.

mod error;
mod cursor; // takes bytes off a message
mod budget; // what a message may still cost
mod head; // method, message type, sequence id
mod skip; // skips values; finds the end of unframed messages
mod codec; // what a protocol implements
pub(crate) mod binary;
pub(crate) mod compact;
mod protocol; // the table of protocols
mod wire_format; // transport and protocol
mod limits;
mod wire_type; // IDL types on the wire
mod any_value; // the fields of `tributary.Value`
mod decode; // bytes -> values
mod encode; // values -> bytes
mod header; // THeader
mod message; // whole messages
mod detect; // the wire format of a connection
mod frame; // a stream -> messages
mod client; // the client's side of a call

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

pub(crate) use binary::BinaryWriter;
pub use budget::DEPTH_CEILING;
pub use client::{ClientCall, ReplyContent, ReplyError, application_kind};
pub use codec::Appendix;
pub(crate) use codec::{Codec, ProtocolWriter};
pub use decode::{
    decode_application_error, decode_field, decode_result, decode_struct, decode_struct_counted,
};
pub(crate) use decode::{decode_struct_paced, starts_with_result};
pub(crate) use detect::Foreign;
pub use error::WireError;
pub use frame::Framer;
pub use head::{Head, HeadOut};
pub use header::{Header, HeaderOut, Headers};
pub use limits::{DEPTH_CEILING, Limits};
pub use message::{Appendix, Body, Head, HeadOut, read_head, write_message, write_message_with};
pub(crate) use pieces::decode_struct_sliced;
pub use shapes::Shapes;

/// How values become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Binary with its version in each message's head ("strict").
    Binary,
    /// Binary as it was before it had a version ("non-strict"): only the head differs.
    BinaryOld,
    /// Compact.
    Compact,
}

/// How messages are told apart in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Each message comes after its length.
    Framed,
    /// Messages follow each other; only reading one tells where it ends.
    Unframed,
    /// Framed, with a header before each message: THeader. Each frame says its protocol.
    Header,
}

/// What a client speaks. A reply goes out in the shape its call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// How messages are told apart.
    pub transport: Transport,
    /// How values become bytes.
    pub protocol: Protocol,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Framed => "framed",
            Transport::Unframed => "unframed",
            Transport::Header => "THeader",
        };
        let protocol = match self.protocol {
            Protocol::Binary => "binary",
            Protocol::BinaryOld => "old binary",
            Protocol::Compact => "compact",
        };
        write!(f, "{transport} {protocol}")
    }
}

/// Reads one protocol. Implementations are statically dispatched: this is the hot path of every call.
pub(crate) trait Input {
    /// A message's head.
    fn head(&mut self) -> Result<Head, WireError>;
    /// The next field of a struct, `None` at its end; `last` is the id of the field before, 0 at first.
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
    /// A list's or set's element type and count. The count is one that the rest of the message can hold;
    /// at 0 the type may be [`TType::Stop`].
    fn list(&mut self) -> Result<(TType, usize), WireError>;
    /// A map's key type, value type and count, with the same promise.
    fn map(&mut self) -> Result<(TType, TType, usize), WireError>;
    /// Steps over a value that stands in a field or, for a `bool`, an element.
    fn skip(&mut self, ty: TType, budget: &mut Budget) -> Result<(), WireError>;
    /// How many bytes are left.
    fn remaining(&self) -> usize;
}

/// Writes one protocol. Counts and lengths were checked to fit an `i32`.
pub(crate) trait Output {
    /// A struct that writes itself.
    fn appendix(&mut self, appendix: &dyn Appendix);
    /// A message's head.
    fn head(&mut self, head: &HeadOut<'_>, name_length: u32);
    /// The head of a field that is no bool; `last` is the id of the field before, 0 at first.
    fn field(&mut self, ty: TType, last: i16, id: i16);
    /// A whole field that is a bool.
    fn bool_field(&mut self, last: i16, id: i16, value: bool);
    /// A whole field that is an `i64`.
    #[inline]
    fn i64_field(&mut self, last: i16, id: i16, value: i64) {
        self.field(TType::I64, last, id);
        self.i64(value);
    }
    /// A whole field that is a `string` or `binary` of `length` bytes.
    #[inline]
    fn bytes_field(&mut self, last: i16, id: i16, value: &[u8], length: u32) {
        self.field(TType::String, last, id);
        self.bytes(value, length);
    }
    /// The end of a struct.
    fn stop(&mut self);
    /// A bool that is an element.
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

/// How a type of the IDL is called on the wire.
#[inline]
fn wire_type(ty: &Type) -> TType {
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
