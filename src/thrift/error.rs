//! What can be wrong with bytes, as the one error type of the wire.
//!
//! Codes are those of [`crate::error`]; the detail is for the log and, where the client is at fault, for
//! the client as well: it never holds more of the message than numbers and the IDL's own names.

use thrift::{ProtocolError, ProtocolErrorKind};

use crate::error::Code;

/// Bytes that can't be read, or a value that can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct WireError {
    /// A `wire.*` code, or `server.internal` for what could not be written.
    pub code: Code,
    /// What is wrong and where.
    pub detail: String,
}

impl WireError {
    /// An error of `code`.
    #[cold]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        WireError {
            code,
            detail: detail.into(),
        }
    }

    /// Whether it is about a THeader frame that ends where it says: the stream goes on behind it, and the frame's
    /// sequence id can be answered.
    pub fn is_of_frame(&self) -> bool {
        matches!(
            self.code,
            Code::WireUnknownTransform | Code::WireUnknownProtocol
        )
    }

    /// The same, saying in which field it happened.
    #[cold]
    pub(crate) fn inside(self, field: &str) -> Self {
        self.within(&format!("field `{field}`"))
    }

    /// The same, saying at which place it happened.
    #[cold]
    pub(crate) fn within(mut self, place: &str) -> Self {
        // The innermost few places tell enough; a message may be nested far deeper.
        if self.detail.len() < 200 {
            self.detail.insert_str(0, &format!("{place}: "));
        }
        self
    }
}

/// The message ends where more should come.
#[cold]
pub(crate) fn truncated() -> WireError {
    WireError::new(
        Code::WireTruncated,
        "the message ends in the middle of a value",
    )
}

/// A declared size is more than what is left of the message.
#[cold]
pub(crate) fn overlong(declared: usize, left: usize) -> WireError {
    WireError::new(
        Code::WireTruncated,
        format!("a size of {declared} is declared where {left} bytes are left"),
    )
}

/// Bytes that mean nothing.
#[cold]
pub(crate) fn invalid(detail: impl Into<String>) -> WireError {
    WireError::new(Code::WireInvalid, detail)
}

/// A length or count below zero.
#[cold]
pub(crate) fn negative(size: i32) -> WireError {
    invalid(format!("a size of {size} is declared"))
}

/// A number that stands for no type.
#[cold]
pub(crate) fn unknown_type(number: u8) -> WireError {
    invalid(format!("type {number} does not exist in the protocol"))
}

/// Nested deeper than the limit.
#[cold]
pub(crate) fn too_deep() -> WireError {
    WireError::new(Code::WireTooDeep, "values are nested deeper than the limit")
}

/// A message larger than the limit.
#[cold]
pub(crate) fn too_large(bytes_max: usize) -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        format!("the message is larger than {bytes_max} bytes"),
    )
}

/// More pairs beside the message than the limit.
#[cold]
pub(crate) fn too_many_headers(pairs_max: usize) -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        format!("the frame has more than {pairs_max} headers"),
    )
}

/// More bytes beside the message, or of what is kept of them, than the limit.
#[cold]
pub(crate) fn too_long_headers(bytes_max: usize) -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        format!("the headers are longer than {bytes_max} bytes"),
    )
}

/// More values than the limit.
#[cold]
pub(crate) fn too_many_values() -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        "the message holds more values than the limit",
    )
}

/// A value that was not made to fit its type first.
#[cold]
pub(crate) fn internal(detail: impl Into<String>) -> WireError {
    WireError::new(Code::ServerInternal, detail)
}

impl From<WireError> for thrift::Error {
    fn from(err: WireError) -> Self {
        let kind = match err.code {
            Code::WireFrameTooLarge => ProtocolErrorKind::SizeLimit,
            Code::WireTooDeep => ProtocolErrorKind::DepthLimit,
            Code::WireUnrecognized => ProtocolErrorKind::BadVersion,
            Code::ServerInternal => ProtocolErrorKind::Unknown,
            _ => ProtocolErrorKind::InvalidData,
        };
        thrift::Error::Protocol(ProtocolError::new(kind, err.detail))
    }
}

impl From<thrift::Error> for WireError {
    fn from(err: thrift::Error) -> Self {
        // thrift's own `Display` prints the kind and leaves the message out.
        let (code, detail) = match err {
            thrift::Error::Transport(err) => (Code::WireTruncated, err.message),
            thrift::Error::Protocol(err) => match err.kind {
                ProtocolErrorKind::SizeLimit => (Code::WireFrameTooLarge, err.message),
                ProtocolErrorKind::DepthLimit => (Code::WireTooDeep, err.message),
                _ => (Code::WireInvalid, err.message),
            },
            thrift::Error::Application(err) => (Code::WireInvalid, err.message),
            thrift::Error::User(err) => (Code::WireInvalid, err.to_string()),
        };
        WireError { code, detail }
    }
}
