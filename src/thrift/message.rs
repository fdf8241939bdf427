//! Whole messages: opens a received one, writes one to send.
//!
//! In: a message cut out by the framer, or a head and a body's values. Out: its head and the bytes of its body,
//! or bytes appended to a connection's write buffer, the frame's length included where there is one.
//! A message that can't be written leaves no byte behind.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use thrift::ApplicationErrorKind;
use thrift::protocol::{TMessageType, TType};

use super::encode::{Encoder, length_of};
use super::error::{internal, invalid};
use super::header::write_head;
use super::{
    BinaryInput, BinaryOutput, CompactInput, CompactOutput, HeaderOut, Input, Output, Protocol,
    Shape, Transport, WireError,
};
use crate::idl::{Schema, StructId, Type};
use crate::value::{Text, Value};

/// A method's name, its service's name before the colon included, is no longer than this.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// What a message is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The method's name, after its service's name and a colon where several services share the port.
    pub name: Text,
    /// Call, oneway call, reply or exception.
    pub kind: TMessageType,
    /// The client's number for the call, which its reply repeats.
    pub sequence: i32,
}

/// The head of a message to send.
#[derive(Clone, Copy, Debug)]
pub struct HeadOut<'a> {
    /// The method's name.
    pub name: &'a str,
    /// Call, oneway call, reply or exception.
    pub kind: TMessageType,
    /// The number of the call.
    pub sequence: i32,
}

/// The body of a message to send. Values fit their types already; [`Value::Null`] is an unset field.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A result: the fields that are set, of which there is one, or none for `void`.
    Fields {
        /// What the types refer to.
        schema: &'a Schema,
        /// Id, type and value; a null is not written.
        fields: &'a [(i16, &'a Type, &'a Value)],
    },
    /// A result that is a struct.
    Struct {
        /// What `id` refers to.
        schema: &'a Schema,
        /// The struct.
        id: StructId,
        /// A record in the order of the struct's fields.
        record: &'a Value,
        /// The id of one more field, and its value: a struct that writes itself. It goes last; its place in
        /// `record` is null.
        last: Option<(i16, &'a dyn Appendix)>,
    },
    /// A call's parameters.
    Params {
        /// What `id` refers to.
        schema: &'a Schema,
        /// The method's parameters.
        id: StructId,
        /// A record in the order of the struct's fields.
        record: &'a Value,
    },
    /// What the client's library raises when the method itself declares nothing better.
    ApplicationError {
        /// What went wrong, for programs.
        kind: ApplicationErrorKind,
        /// What went wrong, for people.
        message: &'a str,
    },
}

/// A struct that knows how it is written, in the protocol of the message that it is for.
pub trait Appendix: fmt::Debug {
    /// Appends the whole struct.
    fn append(&self, out: &mut BytesMut);
}

/// The head of `message` and the bytes after it.
pub fn read_head(protocol: Protocol, message: &Bytes) -> Result<(Head, Bytes), WireError> {
    fn read(mut input: impl Input, message: &Bytes) -> Result<(Head, Bytes), WireError> {
        let head = input.head()?;
        Ok((head, message.slice(message.len() - input.remaining()..)))
    }
    match protocol {
        Protocol::Binary => read(BinaryInput::new(message, true), message),
        Protocol::BinaryOld => read(BinaryInput::new(message, false), message),
        Protocol::Compact => read(CompactInput::new(message), message),
    }
}

/// Appends one whole message to `out`. An error is the server's own fault and leaves `out` as it was. Where
/// the transport has headers, the frame has the message's sequence id and no pairs.
pub fn write_message(
    out: &mut BytesMut,
    shape: Shape,
    head: HeadOut<'_>,
    body: Body<'_>,
) -> Result<(), WireError> {
    let header = HeaderOut {
        sequence: head.sequence,
        pairs: &[],
    };
    write_message_with(out, shape, head, body, header)
}

/// As [`write_message`], saying beside the message what `header` says if the transport has headers.
pub fn write_message_with(
    out: &mut BytesMut,
    shape: Shape,
    head: HeadOut<'_>,
    body: Body<'_>,
    header: HeaderOut<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    let written = write_at_end(out, shape, &head, &body, &header);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write_at_end(
    out: &mut BytesMut,
    shape: Shape,
    head: &HeadOut<'_>,
    body: &Body<'_>,
    header: &HeaderOut<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    match shape.transport {
        Transport::Framed => out.put_u32(0),
        Transport::Unframed => {}
        Transport::Header => write_head(out, shape.protocol, header)?,
    }
    match shape.protocol {
        Protocol::Binary => write(BinaryOutput::new(out, true), head, body)?,
        Protocol::BinaryOld => write(BinaryOutput::new(out, false), head, body)?,
        Protocol::Compact => write(CompactOutput::new(out), head, body)?,
    }
    if shape.transport != Transport::Unframed {
        let length = length_of(out.len() - start - 4)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn write<O: Output>(mut output: O, head: &HeadOut<'_>, body: &Body<'_>) -> Result<(), WireError> {
    if head.name.len() > NAME_BYTES_MAX {
        return Err(internal("the method's name is too long"));
    }
    output.head(head, length_of(head.name.len())?);
    match *body {
        Body::Fields { schema, fields } => Encoder::new(schema, output).fields(fields),
        Body::Struct {
            schema,
            id,
            record,
            last,
        } => Encoder::new(schema, output).result(id, record, last),
        Body::Params { schema, id, record } => Encoder::new(schema, output).whole(id, record),
        Body::ApplicationError { kind, message } => {
            output.field(TType::String, 0, 1);
            output.bytes(message.as_bytes(), length_of(message.len())?);
            output.field(TType::I32, 1, 2);
            output.i32(kind as i32);
            output.stop();
            Ok(())
        }
    }
}

/// A message's kind as a number of its head.
pub(super) fn message_kind(number: u8) -> Result<TMessageType, WireError> {
    match number {
        1 => Ok(TMessageType::Call),
        2 => Ok(TMessageType::Reply),
        3 => Ok(TMessageType::Exception),
        4 => Ok(TMessageType::OneWay),
        _ => Err(invalid(format!("message type {number} does not exist"))),
    }
}

/// A method's name.
pub(super) fn method_name(bytes: Bytes) -> Result<Text, WireError> {
    if bytes.len() > NAME_BYTES_MAX {
        return Err(invalid(format!(
            "the method's name has {} bytes, more than {NAME_BYTES_MAX}",
            bytes.len()
        )));
    }
    Text::from_utf8(bytes).map_err(|_| invalid("the method's name is not UTF-8"))
}
