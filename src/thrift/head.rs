//! The head of a message: the method's name, the message type and the sequence id.
//!
//! Every protocol reads and writes these three; this file checks what is the same in all of them.

use bytes::Bytes;
use thrift::protocol::TMessageType;

use super::error::{WireError, invalid};
use crate::value::Text;

/// The longest method name in bytes, including a service name and colon before it.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// The head of a received message.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The method's name. If several services share the port, the service's name and a colon come first.
    pub name: Text,
    /// Call, oneway call, reply or exception.
    pub kind: TMessageType,
    /// The client's number for the call; the reply repeats it.
    pub sequence: i32,
}

/// The head of a message to send.
#[derive(Clone, Copy, Debug)]
pub struct HeadOut<'a> {
    /// The method's name.
    pub name: &'a str,
    /// Call, oneway call, reply or exception.
    pub kind: TMessageType,
    /// The sequence id of the call.
    pub sequence: i32,
}

/// The message type that `number` stands for.
pub(super) fn message_kind(number: u8) -> Result<TMessageType, WireError> {
    match number {
        1 => Ok(TMessageType::Call),
        2 => Ok(TMessageType::Reply),
        3 => Ok(TMessageType::Exception),
        4 => Ok(TMessageType::OneWay),
        _ => Err(invalid(format!("message type {number} does not exist"))),
    }
}

/// The method name in `bytes`.
pub(super) fn method_name(bytes: Bytes) -> Result<Text, WireError> {
    if bytes.len() > NAME_BYTES_MAX {
        return Err(name_too_long(bytes.len()));
    }
    Text::from_utf8(bytes).map_err(|_| invalid("the method's name is not UTF-8"))
}

/// A method name longer than [`NAME_BYTES_MAX`].
#[cold]
pub(super) fn name_too_long(length: usize) -> WireError {
    invalid(format!(
        "the method's name has {length} bytes; at most {NAME_BYTES_MAX} are allowed"
    ))
}
