//! The client's side of one call: writes the call and reads its reply.
//!
//! In: a method of an IDL and its parameters; later the message that was received. Out: bytes to send; then what the
//! method returned or threw. A message that does not belong to this call is reported as
//! [`ReplyError::OutOfStep`]: its connection can no longer be trusted. Sockets and timeouts are the caller's job.

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;

use super::decode::{decode_application_error, decode_result};
use super::error::WireError;
use super::head::{Head, HeadOut};
use super::header::HeaderOut;
use super::limits::Limits;
use super::message::{Body, Encoded, read_head, write_message_with};
use super::protocol::Protocol;
use super::wire_format::WireFormat;
use crate::idl::{Method, Schema, StructId, Type};
use crate::value::{Text, Value};

/// A call of a method, and what its reply must match.
#[derive(Clone, Copy, Debug)]
pub struct ClientCall<'a> {
    /// The schema that the method's types refer to.
    pub schema: &'a Schema,
    /// The method.
    pub method: &'a Method,
    /// The method's name on the wire. If several services share the port, the service's name and a colon come first.
    pub name: &'a str,
    /// The sequence id.
    pub sequence: i32,
}

/// What a reply holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyContent {
    /// The method's result; null for `void`.
    Returned(Value),
    /// An exception that the method declares.
    Threw {
        /// Its type.
        of: StructId,
        /// Its fields.
        value: Value,
    },
    /// No result, although the method has one: some servers reply like this if the result is null.
    Missing,
}

/// Why a message is not a usable reply to a call.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// It is not a Thrift message, or not a result of this method.
    #[error("cannot read the reply: {0}")]
    Wire(#[from] WireError),
    /// It belongs to a different call, or is not a reply.
    #[error("the reply belongs to a different call: {0}")]
    OutOfStep(String),
    /// A `TApplicationException`.
    #[error("TApplicationException ({}): {}", application_kind(*.kind), .message.as_str())]
    Application {
        /// The number of its kind.
        kind: i32,
        /// The server's message.
        message: Text,
        /// Whether it has the call's sequence id and name, so that the connection can still be used.
        in_step: bool,
    },
}

impl ClientCall<'_> {
    /// Appends the call to `out`; an error leaves `out` as it was. If the transport is `THeader`, `pairs` go into the
    /// frame's header.
    pub fn write(
        &self,
        out: &mut BytesMut,
        wire_format: WireFormat,
        params: &Value,
        pairs: &[(&str, &[u8])],
    ) -> Result<(), WireError> {
        let body = Body::Params {
            schema: self.schema,
            id: self.method.params,
            record: params,
        };
        self.write_body(out, wire_format, body, pairs)
    }

    /// As [`ClientCall::write`], with parameters that are encoded already.
    pub fn write_encoded(
        &self,
        out: &mut BytesMut,
        wire_format: WireFormat,
        params: &Encoded,
        pairs: &[(&str, &[u8])],
    ) -> Result<(), WireError> {
        self.write_body(out, wire_format, Body::Encoded(params), pairs)
    }

    fn write_body(
        &self,
        out: &mut BytesMut,
        wire_format: WireFormat,
        body: Body<'_>,
        pairs: &[(&str, &[u8])],
    ) -> Result<(), WireError> {
        let head = HeadOut {
            name: self.name,
            kind: if self.method.oneway {
                TMessageType::OneWay
            } else {
                TMessageType::Call
            },
            sequence: self.sequence,
        };
        let header = HeaderOut {
            sequence: self.sequence,
            pairs,
        };
        write_message_with(out, wire_format, head, body, header)
    }

    /// Reads the reply in `message`.
    pub fn read(
        &self,
        protocol: Protocol,
        message: &Bytes,
        limits: &Limits,
    ) -> Result<ReplyContent, ReplyError> {
        let (head, body) = read_head(protocol, message)?;
        // A server that cannot read a call may not know its name or sequence id, but it still reports the error.
        if head.kind == TMessageType::Exception {
            let (kind, message) = decode_application_error(protocol, &body, limits)?;
            let in_step = self.compare(&head).is_ok();
            return Err(ReplyError::Application {
                kind,
                message,
                in_step,
            });
        }
        self.compare(&head)?;
        let throws = self.method.throws.iter();
        let fields: Vec<(i16, &Type)> = (self.method.result.iter().map(|ty| (0, ty)))
            .chain(throws.map(|throw| (throw.id, &throw.ty)))
            .collect();
        match decode_result(self.schema, &fields, protocol, &body, limits)? {
            Some((0, value)) => Ok(ReplyContent::Returned(value)),
            None if self.method.result.is_none() => Ok(ReplyContent::Returned(Value::Null)),
            None => Ok(ReplyContent::Missing),
            Some((id, value)) => match fields.iter().find(|(have, _)| *have == id) {
                Some((_, Type::Struct(of))) => Ok(ReplyContent::Threw { of: *of, value }),
                _ => Err(ReplyError::OutOfStep(format!(
                    "no exception of the method has the id {id}"
                ))),
            },
        }
    }

    /// Checks that `message` is the reply to this call, without reading its result.
    pub fn answered_by(&self, protocol: Protocol, message: &Bytes) -> Result<(), ReplyError> {
        let (head, _) = read_head(protocol, message)?;
        self.compare(&head)
    }

    fn compare(&self, head: &Head) -> Result<(), ReplyError> {
        let name = head.name.as_str();
        // Servers of several services reply with the bare name of the method, or with the name in the call.
        if head.sequence != self.sequence || (name != &*self.method.name && name != self.name) {
            return Err(ReplyError::OutOfStep(format!(
                "`{name}` with sequence id {}, expected `{}` with {}",
                head.sequence, self.method.name, self.sequence
            )));
        }
        match head.kind {
            TMessageType::Reply | TMessageType::Exception => Ok(()),
            _ => Err(ReplyError::OutOfStep("it is a call, not a reply".into())),
        }
    }
}

/// What the kind of a `TApplicationException` means, as Apache's libraries put it. The last two are fbthrift's.
pub fn application_kind(kind: i32) -> &'static str {
    match kind {
        1 => "unknown method",
        2 => "invalid message type",
        3 => "wrong method name",
        4 => "bad sequence id",
        5 => "missing result",
        6 => "internal error",
        7 => "protocol error",
        8 => "invalid transform",
        9 => "invalid protocol",
        10 => "unsupported client type",
        11 => "load shedding",
        12 => "timeout",
        _ => "unknown",
    }
}
