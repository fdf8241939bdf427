//! The error type of the wire, and the errors that several files report.
//!
//! Codes are those of [`crate::error`]. The detail goes to the log and, if the client is at fault, to the client:
//! it contains nothing of the message but numbers and names of the IDL.

use crate::error::Code;

/// Bytes that cannot be read, or a value that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct WireError {
    /// A `wire.*` code, or `server.internal` if a value cannot be written.
    pub code: Code,
    /// What is wrong, and where.
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

    /// Whether it concerns one `THeader` frame only: the frame's length and sequence id are known, so the client gets
    /// a reply and the stream continues after the frame.
    pub fn is_of_frame(&self) -> bool {
        matches!(
            self.code,
            Code::WireUnknownTransform | Code::WireUnknownProtocol
        )
    }

    /// Adds the field in which it happened.
    #[cold]
    pub(crate) fn inside(self, field: &str) -> Self {
        self.within(&format!("field `{field}`"))
    }

    /// Adds the place where it happened.
    #[cold]
    pub(crate) fn within(mut self, place: &str) -> Self {
        // The innermost few places are enough; a message can be nested far deeper.
        if self.detail.len() < 200 {
            self.detail.insert_str(0, &format!("{place}: "));
        }
        self
    }
}

/// The message ends too early.
#[cold]
pub(crate) fn truncated() -> WireError {
    WireError::new(
        Code::WireTruncated,
        "the message ends in the middle of a value",
    )
}

/// A declared size exceeds the rest of the message.
#[cold]
pub(crate) fn overlong(declared: usize, left: usize) -> WireError {
    WireError::new(
        Code::WireTruncated,
        format!("the message declares a size of {declared}, but only {left} bytes are left"),
    )
}

/// Bytes without a meaning.
#[cold]
pub(crate) fn invalid(detail: impl Into<String>) -> WireError {
    WireError::new(Code::WireInvalid, detail)
}

/// A length or count below zero.
#[cold]
pub(crate) fn negative(size: i32) -> WireError {
    invalid(format!("the message declares a negative size: {size}"))
}

/// A number that is not the number of a type.
#[cold]
pub(crate) fn unknown_type(number: u8) -> WireError {
    invalid(format!("the protocol has no type {number}"))
}

/// Deeper nesting than the limit allows.
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

/// A frame larger than the limit.
#[cold]
pub(crate) fn frame_too_large(declared: usize, bytes_max: usize) -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        format!("the frame declares {declared} bytes; at most {bytes_max} are allowed"),
    )
}

/// More pairs in a frame's header than the limit allows.
#[cold]
pub(crate) fn too_many_headers(pairs_max: usize) -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        format!("the frame has more than {pairs_max} headers"),
    )
}

/// A longer header, or longer pairs kept for the connection, than the limit allows.
#[cold]
pub(crate) fn too_long_headers(bytes_max: usize) -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        format!("the headers are longer than {bytes_max} bytes"),
    )
}

/// More values than the limit allows.
#[cold]
pub(crate) fn too_many_values() -> WireError {
    WireError::new(
        Code::WireFrameTooLarge,
        "the message holds more values than the limit",
    )
}

/// A value that does not fit its type: a bug in the server.
#[cold]
pub(crate) fn internal(detail: impl Into<String>) -> WireError {
    WireError::new(Code::ServerInternal, detail)
}
