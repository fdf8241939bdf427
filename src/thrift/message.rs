//! Whole messages: opens a received message, writes a message to send.
//!
//! In: a message that the framer cut out, or a head and the values of a body. Out: the head and the bytes of the
//! body, or bytes appended to a write buffer, including the frame's length if the transport has frames. A message
//! that cannot be written leaves the buffer as it was.

use bytes::{BufMut, Bytes, BytesMut};
use thrift::ApplicationErrorKind;
use thrift::protocol::TType;

use super::codec::{Appendix, Codec, ProtocolReader, ProtocolWriter};
use super::encode::{Encoder, length_of};
use super::error::{WireError, internal};
use super::head::{Head, HeadOut, NAME_BYTES_MAX};
use super::header::{HeaderOut, write_head};
use super::protocol::{Protocol, with_codec};
use super::wire_format::{Transport, WireFormat};
use crate::idl::{Schema, StructId, Type};
use crate::value::Value;

/// The body of a message to send. The values fit their types; [`Value::Null`] is an unset field.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A result: the one field that is set, or none for `void`.
    Fields {
        /// The schema that the types refer to.
        schema: &'a Schema,
        /// Id, type and value; null fields are omitted.
        fields: &'a [(i16, &'a Type, &'a Value)],
    },
    /// A result that is a struct.
    Struct {
        /// The schema that `id` refers to.
        schema: &'a Schema,
        /// The struct.
        id: StructId,
        /// A record in the order of the struct's fields.
        record: &'a Value,
        /// The id and value of one more field, a struct that writes itself. It is written last; in `record`
        /// the field is null.
        last: Option<(i16, &'a dyn Appendix)>,
    },
    /// A call's parameters.
    Params {
        /// The schema that `id` refers to.
        schema: &'a Schema,
        /// The method's parameters.
        id: StructId,
        /// A record in the order of the struct's fields.
        record: &'a Value,
    },
    /// A call's parameters, encoded before.
    Encoded(&'a Encoded),
    /// A `TApplicationException`, for an error that the method does not declare as an exception.
    ApplicationError {
        /// What went wrong, for programs.
        kind: ApplicationErrorKind,
        /// What went wrong, for people.
        message: &'a str,
    },
}

/// A struct that is encoded already.
#[derive(Clone, Debug)]
pub struct Encoded(pub Bytes);

impl Encoded {
    /// The parameters of a call, the record of the struct `id`, as a message in this protocol has them.
    pub fn params(
        protocol: Protocol,
        (schema, id): (&Schema, StructId),
        record: &Value,
    ) -> Result<Self, WireError> {
        let mut out = BytesMut::new();
        with_codec!(protocol, C => Encoder::new(schema, C::writer(&mut out)).whole(id, record))?;
        Ok(Encoded(out.freeze()))
    }
}

impl Appendix for Encoded {
    fn append(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}

/// The head of `message` and the bytes after it.
pub fn read_head(protocol: Protocol, message: &Bytes) -> Result<(Head, Bytes), WireError> {
    fn read(mut reader: impl ProtocolReader, message: &Bytes) -> Result<(Head, Bytes), WireError> {
        let head = reader.head()?;
        Ok((head, message.slice(message.len() - reader.remaining()..)))
    }
    with_codec!(protocol, C => read(C::reader(message), message))
}

/// Appends one whole message to `out`. An error is the server's own fault and leaves `out` as it was. If the
/// transport is `THeader`, the frame's header has the message's sequence id and no pairs.
pub fn write_message(
    out: &mut BytesMut,
    wire_format: WireFormat,
    head: HeadOut<'_>,
    body: Body<'_>,
) -> Result<(), WireError> {
    let header = HeaderOut {
        sequence: head.sequence,
        pairs: &[],
    };
    write_message_with(out, wire_format, head, body, header)
}

/// Like [`write_message`], with this header if the transport is `THeader`.
pub fn write_message_with(
    out: &mut BytesMut,
    wire_format: WireFormat,
    head: HeadOut<'_>,
    body: Body<'_>,
    header: HeaderOut<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    let written = write_at_end(out, wire_format, &head, &body, &header);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write_at_end(
    out: &mut BytesMut,
    wire_format: WireFormat,
    head: &HeadOut<'_>,
    body: &Body<'_>,
    header: &HeaderOut<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    match wire_format.transport {
        Transport::Framed => out.put_u32(0),
        Transport::Unframed => {}
        Transport::Header => write_head(out, wire_format.protocol, header)?,
    }
    with_codec!(wire_format.protocol, C => write(C::writer(out), head, body))?;
    if wire_format.transport != Transport::Unframed {
        let length = length_of(out.len() - start - 4)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn write<O: ProtocolWriter>(
    mut output: O,
    head: &HeadOut<'_>,
    body: &Body<'_>,
) -> Result<(), WireError> {
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
        Body::Encoded(encoded) => {
            output.appendix(encoded);
            Ok(())
        }
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
