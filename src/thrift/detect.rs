//! Detects a connection's wire format from its first bytes.
//!
//! In: the bytes that have arrived. Out: the wire format as soon as the bytes decide it, which can be after two.
//! Bytes that are certainly not Thrift are refused, with a guess at what they are. Only the first message is
//! examined: a client does not change its wire format. [`Foreign`] does the reverse for a server's first bytes.

use super::error::{WireError, frame_too_large};
use super::head::NAME_BYTES_MAX;
use super::limits::Limits;
use super::protocol::Protocol;
use super::wire_format::{Transport, WireFormat};
use crate::error::Code;

/// The highest first byte of a length, whatever the limit is. Bytes above it, up to 0x7f, are text.
const LENGTH_BYTE_MAX: u8 = 0x3f;

/// What other protocols look like, with advice for the operator.
const HTTP: &str =
    "HTTP: use framed, unframed or THeader; health and metrics are on the `admin` port";
const JSON: &str = "the JSON protocol: use binary or compact";
const TTHEADER: &str =
    "TTHeader, the frames of Kitex: configure its client for framed Thrift (`transport.Framed`)";
const PROXY_1: &str = "the PROXY protocol, version 1: turn it off at the proxy in front of this server (`send-proxy`, \
                       `proxy_protocol on`)";
const PROXY_2: &str = "the PROXY protocol, version 2: turn it off at the proxy in front of this server (`send-proxy-v2`, \
                       `proxy_protocol_v2.enabled`)";
/// The first bytes of PROXY headers. Those of version 2 would mean an old message in a frame of 219 MB, whose name has
/// more than 800 kB.
const PROXY_1_START: &[u8] = b"PROXY ";
const PROXY_2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A server that does not speak Thrift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It expects a TLS handshake.
    Tls,
    /// It speaks HTTP.
    Http,
    /// It speaks Redis's protocol.
    Redis,
    /// It speaks memcached's text protocol.
    Memcached,
    /// It speaks MySQL's protocol.
    Mysql,
    /// It speaks PostgreSQL's protocol.
    Postgres,
    /// It speaks SSH.
    Ssh,
}

impl Foreign {
    /// The server that answers a plain-text call with `received`, if it is a known one. No reply starts like this:
    /// as lengths of frames, these bytes would mean 16 MB at least and mostly hundreds, and no message starts like the fifth
    /// byte of MySQL's greeting.
    pub(crate) fn of(received: &[u8]) -> Option<Self> {
        match received {
            // A TLS alert and the major version.
            [0x15, 0x03, ..] => Some(Foreign::Tls),
            // Four bytes are enough, because a frame's length is not known before.
            [b'H', b'T', b'T', b'P', ..] => Some(Foreign::Http),
            [b'S', b'S', b'H', b'-', ..] => Some(Foreign::Ssh),
            // Redis's errors, such as `-ERR`, `-NOAUTH` and `-DENIED`.
            [
                b'-',
                b'E' | b'N' | b'D',
                b'R' | b'O' | b'E',
                b'R' | b'A' | b'N',
                ..,
            ] => Some(Foreign::Redis),
            // `ERROR`, `CLIENT_ERROR`, `SERVER_ERROR` and `VERSION`.
            [b'E', b'R', b'R', b'O', ..]
            | [b'V', b'E', b'R', b'S', ..]
            | [b'C', b'L', b'I', b'E', ..]
            | [b'S', b'E', b'R', b'V', ..] => Some(Foreign::Memcached),
            // A packet's length and number; then the version of the greeting, or an error instead of it.
            [length, _, 0, 0, 10 | 255, ..] if *length > 0 => Some(Foreign::Mysql),
            // An error, its length, and its first field.
            [b'E', 0, 0, _, _, b'S', ..] => Some(Foreign::Postgres),
            _ => None,
        }
    }

    /// `an HTTP server`
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Foreign::Tls => "a TLS server",
            Foreign::Http => "an HTTP server",
            Foreign::Redis => "a Redis server",
            Foreign::Memcached => "a memcached server",
            Foreign::Mysql => "a MySQL or MariaDB server",
            Foreign::Postgres => "a PostgreSQL server",
            Foreign::Ssh => "an SSH server",
        }
    }
}

/// What a load balancer puts before the bytes of a client, if `bytes` are the start of that; `Err` if more bytes are needed.
pub(crate) fn proxy_header(bytes: &[u8]) -> Result<Option<WireError>, ()> {
    for (start, what) in [(PROXY_1_START, PROXY_1), (PROXY_2_START, PROXY_2)] {
        if bytes.starts_with(start) {
            return Ok(Some(looks_like(what)));
        }
        if start.starts_with(bytes) {
            return Err(());
        }
    }
    Ok(None)
}

/// The wire format of a connection that starts with `bytes`; `None` if more bytes are needed.
pub(crate) fn detect(bytes: &[u8], limits: &Limits) -> Result<Option<WireFormat>, WireError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    match proxy_header(bytes) {
        Ok(Some(proxy)) => return Err(proxy),
        Ok(None) => {}
        Err(()) => return Ok(None),
    }
    match first {
        _ if is_magic(first) => {
            Ok(magic(bytes)?.map(|protocol| wire_format(Transport::Unframed, protocol)))
        }
        // As the start of a length, 0x16 would mean 369 million.
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

/// The first four bytes are a length: of a frame, or of the method's name in an old unframed message.
fn length_first(bytes: &[u8], limits: &Limits) -> Result<Option<WireFormat>, WireError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 {
        return Err(unknown(bytes));
    }
    if length > limits.frame_bytes_max {
        // If the first bytes of the message show a Thrift client, report its wire format anyway: the framer
        // refuses the frame, and the client gets an answer.
        return match rest {
            [] | [0x0f | 0x10] => Ok(None),
            [0x10, 0, ..] => Err(looks_like(TTHEADER)),
            [0x0f, 0xff, ..] => Ok(Some(wire_format(Transport::Header, Protocol::Binary))),
            [first, ..] if is_magic(*first) => match magic(rest) {
                Ok(protocol) => {
                    Ok(protocol.map(|protocol| wire_format(Transport::Framed, protocol)))
                }
                Err(_) => Err(too_long(length, limits)),
            },
            _ => Err(too_long(length, limits)),
        };
    }
    match rest.first() {
        None => Ok(None),
        Some(first) if is_magic(*first) => {
            Ok(magic(rest)?.map(|protocol| wire_format(Transport::Framed, protocol)))
        }
        Some(0x0f) => match rest.get(1) {
            None => Ok(None),
            // Each frame names its protocol; until the first frame does, this is a guess.
            Some(0xff) => Ok(Some(wire_format(Transport::Header, Protocol::Binary))),
            Some(_) => Err(unknown(bytes)),
        },
        Some(0x10) => match rest.get(1) {
            None => Ok(None),
            Some(0) => Err(looks_like(TTHEADER)),
            Some(_) => Err(unknown(bytes)),
        },
        Some(b'[' | b'{') => Err(looks_like(JSON)),
        Some(0) => old_framed(length, bytes, rest),
        Some(letter)
            if length <= NAME_BYTES_MAX && (letter.is_ascii_alphabetic() || *letter == b'_') =>
        {
            Ok(Some(wire_format(Transport::Unframed, Protocol::BinaryOld)))
        }
        Some(_) => Err(unknown(bytes)),
    }
}

/// A frame that starts with a zero can only start with the length of the name in an old message.
fn old_framed(length: usize, bytes: &[u8], frame: &[u8]) -> Result<Option<WireFormat>, WireError> {
    let Some((name, _)) = frame.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let name = u32::from_be_bytes(*name) as usize;
    // Besides the name: its length, the message type, the sequence id and a struct of at least one byte.
    if name <= NAME_BYTES_MAX && name + 9 < length {
        Ok(Some(wire_format(Transport::Framed, Protocol::BinaryOld)))
    } else {
        Err(unknown(bytes))
    }
}

/// Whether messages of some protocol start with `first`, and no length does.
fn is_magic(first: u8) -> bool {
    first > LENGTH_BYTE_MAX && (Protocol::ALL.iter()).any(|protocol| protocol.first_byte() == first)
}

/// The protocol of a message that starts with a version; `None` if only half of the version has arrived.
fn magic(message: &[u8]) -> Result<Option<Protocol>, WireError> {
    let &[first, second, ..] = message else {
        return Ok(None);
    };
    let mut protocols = Protocol::ALL.iter().copied();
    match protocols.find(|protocol| protocol.is_start([first, second])) {
        Some(protocol) => Ok(Some(protocol)),
        None => Err(unknown(message)),
    }
}

fn wire_format(transport: Transport, protocol: Protocol) -> WireFormat {
    WireFormat {
        transport,
        protocol,
    }
}

fn too_long(length: usize, limits: &Limits) -> WireError {
    if length == 0x0100_0000 {
        return looks_like("a SASL handshake: connect without SASL");
    }
    frame_too_large(length, limits.frame_bytes_max)
}

fn looks_like(what: &str) -> WireError {
    WireError::new(
        Code::WireUnrecognized,
        format!("the first bytes look like {what}"),
    )
}

fn unknown(bytes: &[u8]) -> WireError {
    use std::fmt::Write;

    let mut detail = String::from("the first bytes match no known transport and protocol:");
    for byte in bytes.iter().take(8) {
        write!(detail, " {byte:02x}").expect("writing to a string cannot fail");
    }
    WireError::new(Code::WireUnrecognized, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_servers_are_recognised_by_their_answers() {
        for (received, expected) in [
            (&b"HTTP/1.1 400"[..], Some(Foreign::Http)),
            (b"\x15\x03\x03\x00\x02", Some(Foreign::Tls)),
            (b"SSH-2.0-OpenSSH_9.2", Some(Foreign::Ssh)),
            (b"-ERR unknown command", Some(Foreign::Redis)),
            (b"-NOAUTH Authentication required.", Some(Foreign::Redis)),
            (
                b"-DENIED Redis is running in protected mode",
                Some(Foreign::Redis),
            ),
            (b"ERROR\r\n", Some(Foreign::Memcached)),
            (b"CLIENT_ERROR bad", Some(Foreign::Memcached)),
            (b"VERSION 1.6.18\r\n", Some(Foreign::Memcached)),
            (b"\x4a\x00\x00\x00\x0a8.0.36", Some(Foreign::Mysql)),
            (b"\x45\x00\x00\x00\xff\x69\x04Host", Some(Foreign::Mysql)),
            (b"E\x00\x00\x00\x8dSFATAL\0", Some(Foreign::Postgres)),
            (b"", None),
            // Replies: framed and unframed.
            (b"\x00\x00\x00\x20\x80\x01\x00\x02", None),
            (b"\x80\x01\x00\x02\x00\x00\x00\x04call", None),
            (b"\x82\x41\x01\x04call", None),
        ] {
            assert_eq!(Foreign::of(received), expected, "{received:?}");
        }
    }
}
