//! Tells the shape of a connection from its first bytes; and, of a server's first bytes, what it is if not Thrift.
//!
//! In: what has come so far. Out: the shape as soon as the bytes allow it, which may be after two; eight are never
//! waited for where fewer tell. What is certainly no Thrift is refused with a word on what it looks like.
//! Only the first message is looked at: a client keeps to its shape.

use super::message::NAME_BYTES_MAX;
use super::{Limits, Protocol, Shape, Transport, WireError};
use crate::error::Code;

/// No length begins with a higher byte, whatever the limit: what follows up to 0x7f is text.
const LENGTH_BYTE_MAX: u8 = 0x3f;

/// What a connection without a Thrift client may look like, and what its operator may do.
const HTTP: &str =
    "HTTP: use framed, unframed or THeader; health and metrics are on the `admin` port";
const JSON: &str = "the JSON protocol: use binary or compact";

/// A server that is none of Thrift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It wants TLS first.
    Tls,
    /// It speaks HTTP.
    Http,
}

impl Foreign {
    /// What says `received` to a call in the clear, if it is known. No reply begins so: as frames' lengths these are 352
    /// and 1213 MB.
    pub(crate) fn of(received: &[u8]) -> Option<Self> {
        match received {
            // An alert, and the version's major byte.
            [0x15, 0x03, ..] => Some(Foreign::Tls),
            // No more is needed before a frame's length is known.
            [b'H', b'T', b'T', b'P', ..] => Some(Foreign::Http),
            _ => None,
        }
    }
}

/// The shape of the connection that begins with `bytes`; `None` while more are needed.
pub(crate) fn detect(bytes: &[u8], limits: &Limits) -> Result<Option<Shape>, WireError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    match first {
        0x80 | 0x82 => Ok(magic(bytes)?.map(|protocol| shape(Transport::Unframed, protocol))),
        // 0x16 could begin a length, but one of 369 million.
        0x16 if limits.frame_bytes_max < 0x1600_0000 => match rest.first() {
            None => Ok(None),
            Some(0x03) => Err(looks_like(
                "a TLS handshake, but this port has no TLS: connect without it",
            )),
            Some(_) => Err(unknown(bytes)),
        },
        0..=LENGTH_BYTE_MAX => length_first(bytes, limits),
        b'G' | b'P' | b'H' | b'D' | b'O' | b'C' | b'T' => Err(looks_like(HTTP)),
        b'[' | b'{' => Err(looks_like(JSON)),
        0x78 => Err(looks_like(
            "the zlib transport: use framed, unframed or THeader",
        )),
        _ => Err(unknown(bytes)),
    }
}

/// The first four bytes are a length: a frame's, or an old unframed message's name's.
fn length_first(bytes: &[u8], limits: &Limits) -> Result<Option<Shape>, WireError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 {
        return Err(unknown(bytes));
    }
    if length > limits.frame_bytes_max {
        // Of a Thrift client the shape is known all the same, once the first bytes of its message are there: the framer
        // refuses what comes in it.
        return match rest {
            [] | [0x80 | 0x0f] => Ok(None),
            [0x0f, 0xff, ..] => Ok(Some(shape(Transport::Header, Protocol::Binary))),
            [0x80, 0x01, ..] | [0x82, ..] => match magic(rest) {
                Ok(protocol) => Ok(protocol.map(|protocol| shape(Transport::Framed, protocol))),
                Err(_) => Err(too_long(length, limits)),
            },
            _ => Err(too_long(length, limits)),
        };
    }
    match rest.first() {
        None => Ok(None),
        Some(0x80 | 0x82) => Ok(magic(rest)?.map(|protocol| shape(Transport::Framed, protocol))),
        Some(0x0f) => match rest.get(1) {
            None => Ok(None),
            // Each frame tells its protocol; this is a guess until the first one does.
            Some(0xff) => Ok(Some(shape(Transport::Header, Protocol::Binary))),
            Some(_) => Err(unknown(bytes)),
        },
        Some(0x10) => Err(looks_like("TTHeader: use framed, unframed or THeader")),
        Some(b'[' | b'{') => Err(looks_like(JSON)),
        Some(0) => old_framed(length, bytes, rest),
        Some(letter)
            if length <= NAME_BYTES_MAX && (letter.is_ascii_alphabetic() || *letter == b'_') =>
        {
            Ok(Some(shape(Transport::Unframed, Protocol::BinaryOld)))
        }
        Some(_) => Err(unknown(bytes)),
    }
}

/// A frame that begins with a zero can only begin with the length of an old message's name.
fn old_framed(length: usize, bytes: &[u8], frame: &[u8]) -> Result<Option<Shape>, WireError> {
    let Some((name, _)) = frame.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let name = u32::from_be_bytes(*name) as usize;
    // After the name: its own length, the kind, the sequence id and a struct of at least one byte.
    if name <= NAME_BYTES_MAX && name + 9 < length {
        Ok(Some(shape(Transport::Framed, Protocol::BinaryOld)))
    } else {
        Err(unknown(bytes))
    }
}

/// The protocol whose version stands first in a message; `None` while only half of it is there.
fn magic(message: &[u8]) -> Result<Option<Protocol>, WireError> {
    match message {
        [0x80 | 0x82] => Ok(None),
        [0x80, 0x01, ..] => Ok(Some(Protocol::Binary)),
        [0x82, second, ..] if second & 0x1f == 1 => Ok(Some(Protocol::Compact)),
        _ => Err(unknown(message)),
    }
}

fn shape(transport: Transport, protocol: Protocol) -> Shape {
    Shape {
        transport,
        protocol,
    }
}

fn too_long(length: usize, limits: &Limits) -> WireError {
    if length == 0x0100_0000 {
        return looks_like("a SASL handshake: connect without SASL");
    }
    WireError::new(
        Code::WireFrameTooLarge,
        format!(
            "a frame of {length} bytes is declared, more than {}",
            limits.frame_bytes_max
        ),
    )
}

fn looks_like(what: &str) -> WireError {
    WireError::new(
        Code::WireUnrecognized,
        format!("the first bytes look like {what}"),
    )
}

fn unknown(bytes: &[u8]) -> WireError {
    use std::fmt::Write;

    let mut detail = String::from("the first bytes are of no known transport and protocol:");
    for byte in bytes.iter().take(8) {
        // Writing to a string can't fail.
        write!(detail, " {byte:02x}").expect("a string takes all");
    }
    WireError::new(Code::WireUnrecognized, detail)
}
