//! Writes the start of a `THeader` frame, up to its message.

use bytes::{BufMut, BytesMut};

use super::{INFO_PAIRS, MAGIC};
use crate::thrift::error::{WireError, internal};
use crate::thrift::protocol::Protocol;

/// The header of a `THeader` frame to send. Other transports ignore it.
#[derive(Clone, Copy, Debug)]
pub struct HeaderOut<'a> {
    /// The frame's sequence id: for a call, the call's; for a reply, that of the frame with the call.
    pub sequence: i32,
    /// Pairs of names and values.
    pub pairs: &'a [(&'a str, &'a [u8])],
}

/// Appends a placeholder for the frame's length and everything up to the message.
pub(crate) fn write_head(
    out: &mut BytesMut,
    protocol: Protocol,
    header: &HeaderOut<'_>,
) -> Result<(), WireError> {
    out.put_u32(0);
    out.put_slice(&MAGIC);
    // No flags.
    out.put_u16(0);
    out.put_i32(header.sequence);
    let size_at = out.len();
    out.put_u16(0);
    let start = out.len();
    put_varint(out, protocol.header_id());
    // No transforms.
    put_varint(out, 0);
    if !header.pairs.is_empty() {
        put_varint(out, INFO_PAIRS);
        put_varint(out, length(header.pairs.len())?);
        for (key, value) in header.pairs {
            put_text(out, key.as_bytes())?;
            put_text(out, value)?;
        }
    }
    let padding = (out.len() - start).next_multiple_of(4) - (out.len() - start);
    out.put_bytes(0, padding);
    let words = u16::try_from((out.len() - start) / 4).map_err(|_| too_long())?;
    out[size_at..start].copy_from_slice(&words.to_be_bytes());
    Ok(())
}

fn put_text(out: &mut BytesMut, text: &[u8]) -> Result<(), WireError> {
    put_varint(out, length(text.len())?);
    out.put_slice(text);
    Ok(())
}

/// Appends seven bits per byte, lowest first.
fn put_varint(out: &mut BytesMut, mut number: u32) {
    while number >= 0x80 {
        out.put_u8(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.put_u8(number.to_le_bytes()[0]);
}

fn length(length: usize) -> Result<u32, WireError> {
    u32::try_from(length).map_err(|_| too_long())
}

fn too_long() -> WireError {
    internal("the headers are longer than a frame can hold")
}
