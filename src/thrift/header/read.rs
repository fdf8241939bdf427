//! Opens a `THeader` frame: the fixed part, the transforms, the pairs, and the message after them.

use bytes::Bytes;

use super::inflate::inflate;
use super::{
    FIXED_BYTES, HEADER_BYTES_MAX, Header, INFO_PAIRS, INFO_PERSISTENT, MAGIC, START_BYTES, ZLIB,
};
use crate::error::Code;
use crate::thrift::cursor::Cursor;
use crate::thrift::error::{WireError, invalid, overlong, too_long_headers};
use crate::thrift::limits::Limits;
use crate::thrift::protocol::Protocol;

impl Header {
    /// Reads the sequence id of an incomplete frame that starts with `start`; returns whether it has arrived.
    pub(crate) fn begin(&mut self, start: &[u8]) -> Result<bool, WireError> {
        let Some(start) = start.get(..START_BYTES) else {
            return Ok(false);
        };
        let start = Bytes::copy_from_slice(start);
        self.read_start(&mut Cursor::new(&start))?;
        Ok(true)
    }

    /// Returns the message in `frame`. The sequence id is set to the frame's even after an error of
    /// [`WireError::is_of_frame`], or of a limit.
    pub(crate) fn open(&mut self, frame: &Bytes, limits: &Limits) -> Result<Bytes, WireError> {
        let mut cursor = Cursor::new(frame);
        self.read_start(&mut cursor)?;
        let size = usize::from(u16::from_be_bytes(cursor.array()?)) * 4;
        let Some(rest) = frame.len().checked_sub(FIXED_BYTES + size) else {
            return Err(overlong(size, frame.len() - FIXED_BYTES));
        };
        if size > HEADER_BYTES_MAX {
            return Err(too_long_headers(HEADER_BYTES_MAX));
        }
        let (head, message) = (
            frame.slice(FIXED_BYTES..FIXED_BYTES + size),
            frame.slice(frame.len() - rest..),
        );
        let mut head = Cursor::new(&head);
        let protocol = head.varint32()?;
        let zlib = read_transforms(&mut head, limits)?;
        self.read_info(&mut head)?;
        let message = if zlib {
            inflate(&message, limits.inflated_bytes_max)?
        } else {
            message
        };
        self.protocol = protocol_of(protocol, &message)?;
        Ok(message)
    }

    fn read_start(&mut self, cursor: &mut Cursor<'_>) -> Result<(), WireError> {
        if cursor.array::<2>()? != MAGIC {
            return Err(invalid(
                "the frame does not start with THeader's magic number",
            ));
        }
        let _flags = cursor.array::<2>()?;
        self.sequence = i32::from_be_bytes(cursor.array()?);
        self.protocol = Protocol::Binary;
        self.forget();
        Ok(())
    }

    /// Reads the pairs, which come in blocks. The length of an unknown block is unknown, so everything after it is
    /// skipped; 0 is padding.
    fn read_info(&mut self, head: &mut Cursor<'_>) -> Result<(), WireError> {
        while !head.rest().is_empty() {
            let block = head.varint32()?;
            if !matches!(block, INFO_PAIRS | INFO_PERSISTENT) {
                break;
            }
            let count = head.varint32()? as usize;
            // A pair takes at least two bytes, the lengths of two empty strings.
            for _ in 0..head.holds(count, 2)? {
                let key = read_text(head)?;
                let value = read_text(head)?;
                if block == INFO_PAIRS {
                    self.info.push(key, value)?;
                } else {
                    self.persistent.replace(&key, &value)?;
                }
            }
        }
        Ok(())
    }
}

fn read_text(head: &mut Cursor<'_>) -> Result<Bytes, WireError> {
    let length = head.varint32()? as usize;
    head.bytes(length)
}

/// Reads the transforms; returns whether the message is compressed. Transforms that are not enabled are refused.
fn read_transforms(head: &mut Cursor<'_>, limits: &Limits) -> Result<bool, WireError> {
    let count = head.varint32()? as usize;
    if head.holds(count, 1)? == 0 {
        return Ok(false);
    }
    match (head.varint32()?, count) {
        (ZLIB, 1) if limits.inflated_bytes_max > 0 => Ok(true),
        (ZLIB, 1) => Err(unknown_transform(
            "zlib, which this listener does not enable",
        )),
        (_, 2..) => Err(unknown_transform("more than one transform")),
        (2, _) => Err(unknown_transform("an HMAC")),
        (3, _) => Err(unknown_transform("snappy")),
        (other, _) => Err(unknown_transform(&format!("transform {other}"))),
    }
}

fn unknown_transform(what: &str) -> WireError {
    WireError::new(
        Code::WireUnknownTransform,
        format!("the frame is transformed with {what}: send it without transforms"),
    )
}

/// The protocol with this number. Binary and old binary share one; the first byte of the message distinguishes them.
fn protocol_of(number: u32, message: &Bytes) -> Result<Protocol, WireError> {
    let numbered = || (Protocol::ALL.iter().copied()).filter(|one| one.header_id() == number);
    let first = message.first();
    let exact = numbered().find(|protocol| first == Some(&protocol.first_byte()));
    exact.or_else(|| numbered().next()).ok_or_else(|| {
        WireError::new(
            Code::WireUnknownProtocol,
            format!("the frame holds protocol {number}: use binary (0) or compact (2)"),
        )
    })
}
