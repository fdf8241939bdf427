//! Bytes to messages and back: the Thrift wire, without sockets.
//!
//! In: bytes as they arrive, and a [`Schema`](crate::idl::Schema). Out: one [`Value`](crate::value::Value) per
//! struct, and whole messages to send. The way of a call: [`Framer`] learns the [`Shape`] and cuts a message out,
//! [`read_head`] opens it, [`decode_struct`] reads its parameters; [`write_message`] writes the reply.
//! Every declared size is compared with the bytes that are really there, and nothing here recurses
//! or allocates further than [`Limits`] says. Nothing here knows of views or backends.

mod apache;
mod binary;
mod compact;
mod cursor;
mod decode;
mod detect;
mod encode;
mod error;
mod frame;
mod message;
mod skip;

#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;
use thrift::protocol::{TMessageType, TType};

use crate::idl::Type;
use crate::value::Text;

pub use apache::{StubInput, StubOutput, read_stub, write_stub};
pub use binary::{BinaryInput, BinaryOutput};
pub use compact::{CompactInput, CompactOutput};
pub use decode::{decode_application_error, decode_result, decode_struct};
pub use error::WireError;
pub use frame::Framer;
pub use message::{Body, Head, HeadOut, read_head, write_message};

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message: a frame without its length, or a whole unframed message.
    pub frame_bytes_max: usize,
    /// How deep structs and containers may be nested; the parameters themselves are the first level.
    /// More than [`DEPTH_CEILING`] counts as that.
    pub depth_max: usize,
    /// How many values one message may hold, fields that are not set and values that are stepped over
    /// included: a value is up to fifty times as large in memory as on the wire.
    pub values_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes_max: 16_384_000,
            depth_max: 64,
            values_max: 1_000_000,
        }
    }
}

/// No deeper nesting is ever read or written, so that recursion fits on any thread's stack.
pub const DEPTH_CEILING: usize = 256;

/// A method's name, its service's name before the colon included, is no longer than this.
const NAME_BYTES_MAX: usize = 256;

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
    /// A message's head.
    fn head(&mut self, head: &HeadOut<'_>, name_length: u32);
    /// The head of a field that is no bool; `last` is the id of the field before, 0 at first.
    fn field(&mut self, ty: TType, last: i16, id: i16);
    /// A whole field that is a bool.
    fn bool_field(&mut self, last: i16, id: i16, value: bool);
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

/// What reading the rest of a message may still cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    depth: usize,
    values: usize,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Budget {
            depth: limits.depth_max.min(DEPTH_CEILING),
            values: limits.values_max,
        }
    }

    /// Pays for `count` values.
    #[inline]
    fn spend(&mut self, count: usize) -> Result<(), WireError> {
        match self.values.checked_sub(count) {
            Some(left) => {
                self.values = left;
                Ok(())
            }
            None => Err(error::too_many_values()),
        }
    }

    /// One level down; the caller comes up again with [`Budget::leave`] unless it fails.
    #[inline]
    fn enter(&mut self) -> Result<(), WireError> {
        match self.depth.checked_sub(1) {
            Some(left) => {
                self.depth = left;
                Ok(())
            }
            None => Err(error::too_deep()),
        }
    }

    #[inline]
    fn leave(&mut self) {
        self.depth += 1;
    }
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
        Type::Struct(_) => TType::Struct,
        Type::List(_) => TType::List,
        Type::Set(_) => TType::Set,
        Type::Map(..) => TType::Map,
    }
}

/// A message's kind as a number of its head.
fn message_kind(number: u8) -> Result<TMessageType, WireError> {
    match number {
        1 => Ok(TMessageType::Call),
        2 => Ok(TMessageType::Reply),
        3 => Ok(TMessageType::Exception),
        4 => Ok(TMessageType::OneWay),
        _ => Err(error::invalid(format!(
            "message type {number} does not exist"
        ))),
    }
}

/// A method's name.
fn method_name(bytes: Bytes) -> Result<Text, WireError> {
    if bytes.len() > NAME_BYTES_MAX {
        return Err(error::invalid(format!(
            "the method's name has {} bytes, more than {NAME_BYTES_MAX}",
            bytes.len()
        )));
    }
    Text::from_utf8(bytes).map_err(|_| error::invalid("the method's name is not UTF-8"))
}
