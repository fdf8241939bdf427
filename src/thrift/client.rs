//! The client's side of one call: writes it, and understands its reply.
//!
//! In: a method of an IDL and its parameters; later the message that came. Out: bytes to send; then what the method
//! returned or threw. A message that answers another call, or none, is told apart from an answer that says no:
//! after the one its connection can't be trusted any more. Sockets and time are the caller's business.

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;

use super::{
    Body, Head, HeadOut, HeaderOut, Limits, Protocol, Shape, WireError, decode_application_error,
    decode_result, read_head, write_message_with,
};
use crate::idl::{Method, Schema, StructId, Type};
use crate::value::{Text, Value};

/// A call on its way: what its reply has to fit.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What the method's types refer to.
    pub schema: &'a Schema,
    /// The method.
    pub method: &'a Method,
    /// Its name on the wire: with its service's name and a colon before it where several share the port.
    pub name: &'a str,
    /// The call's number.
    pub sequence: i32,
}

/// What a server says to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The method's result; null for `void`.
    Returned(Value),
    /// An exception that the method declares.
    Threw {
        /// Its type.
        of: StructId,
        /// Its fields.
        value: Value,
    },
    /// No result, from a method that has one: some servers answer so when it is null.
    Nothing,
}

/// Why a message is no reply to a call.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// It is no Thrift, or no result of this method.
    #[error("the reply can't be read: {0}")]
    Wire(#[from] WireError),
    /// It answers another call, or none.
    #[error("the reply is another call's: {0}")]
    OutOfStep(String),
    /// A `TApplicationException`.
    #[error("TApplicationException ({}): {}", application_kind(*.kind), .message.as_str())]
    Application {
        /// Its number in the protocol.
        kind: i32,
        /// The server's words.
        message: Text,
        /// It carries the call's number and name: the connection is as good as before.
        in_step: bool,
    },
}

impl Outgoing<'_> {
    /// Appends the call to `out`, which is left as it was on an error. `pairs` go beside it if the transport has
    /// headers.
    pub fn write(
        &self,
        out: &mut BytesMut,
        shape: Shape,
        params: &Value,
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
        let body = Body::Params {
            schema: self.schema,
            id: self.method.params,
            record: params,
        };
        let header = HeaderOut {
            sequence: self.sequence,
            pairs,
        };
        write_message_with(out, shape, head, body, header)
    }

    /// What `message` says to this call.
    pub fn read(
        &self,
        protocol: Protocol,
        message: &Bytes,
        limits: &Limits,
    ) -> Result<Said, ReplyError> {
        let (head, body) = read_head(protocol, message)?;
        // A server that can't read a call may not know its name or number, and says so all the same.
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
            Some((0, value)) => Ok(Said::Returned(value)),
            None if self.method.result.is_none() => Ok(Said::Returned(Value::Null)),
            None => Ok(Said::Nothing),
            Some((id, value)) => match fields.iter().find(|(have, _)| *have == id) {
                Some((_, Type::Struct(of))) => Ok(Said::Threw { of: *of, value }),
                _ => Err(ReplyError::OutOfStep(format!(
                    "no exception has the id {id}"
                ))),
            },
        }
    }

    /// Whether `message` is this call's at all, without a look at its result.
    pub fn answered_by(&self, protocol: Protocol, message: &Bytes) -> Result<(), ReplyError> {
        let (head, _) = read_head(protocol, message)?;
        self.compare(&head)
    }

    fn compare(&self, head: &Head) -> Result<(), ReplyError> {
        let name = head.name.as_str();
        // Servers of several services answer with the method's own name, or with what they were called.
        if head.sequence != self.sequence || (name != &*self.method.name && name != self.name) {
            return Err(ReplyError::OutOfStep(format!(
                "`{name}` with sequence id {}, expected `{}` with {}",
                head.sequence, self.method.name, self.sequence
            )));
        }
        match head.kind {
            TMessageType::Reply | TMessageType::Exception => Ok(()),
            _ => Err(ReplyError::OutOfStep("it is a call".into())),
        }
    }
}

/// The kinds of Thrift's application errors, in the words of Apache's libraries; the last two are fbthrift's.
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
