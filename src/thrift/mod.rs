//! The Thrift wire formats: turns bytes into messages and values, and back. Knows no sockets, views or backends.
//!
//! The path of a call: [`Framer`] detects the client's [`WireFormat`] and cuts a message out of the stream, with its
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
pub(crate) use decode::{decode_struct_sliced, starts_with_result};
pub(crate) use detect::{Foreign, proxy_header};
pub use error::WireError;
pub use frame::Framer;
pub use head::{Head, HeadOut};
pub use header::{Header, HeaderOut, Headers};
pub use limits::Limits;
pub use message::{Body, Encoded, read_head, write_message, write_message_with};
pub use protocol::Protocol;
pub(crate) use protocol::with_codec;
pub use wire_format::{Transport, WireFormat, WireFormats};
