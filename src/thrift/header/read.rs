//! Opens a THeader frame: its fixed part, its transforms, its pairs, and the message behind them.

use bytes::Bytes;

use super::inflate::inflate;
use super::{
    BINARY, COMPACT, FIXED_BYTES, HEADER_BYTES_MAX, Header, INFO_PAIRS, INFO_PERSISTENT, MAGIC,
    START_BYTES, ZLIB,
};
use crate::error::Code;
use crate::thrift::error::{invalid, overlong, too_long_headers};
use crate::thrift::{Limits, Protocol, WireError, cursor::Cursor};

impl Header {
    /// Reads the sequence id of a frame of which `start` has come; whether it is there. What else the frame says is
    /// not known then.
    pub(crate) fn begin(&mut self, start: &[u8]) -> Result<bool, WireError> {
        let Some(start) = start.get(..START_BYTES) else {
            return Ok(false);
        };
        let start = Bytes::copy_from_slice(start);
        self.read_start(&mut Cursor::new(&start))?;
        Ok(true)
    }

    /// The message of `frame`. After an error of [`WireError::is_of_frame`], or of a limit, the sequence id is the
    /// frame's.
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
            return Err(invalid("a frame without THeader's magic number"));
        }
        let _flags = cursor.array::<2>()?;
        self.sequence = i32::from_be_bytes(cursor.array()?);
        self.protocol = Protocol::Binary;
        self.forget();
        Ok(())
    }

    /// Pairs come in blocks. An unknown block says nothing of its length, so all behind it is stepped over; 0 is
    /// padding.
    fn read_info(&mut self, head: &mut Cursor<'_>) -> Result<(), WireError> {
        while !head.rest().is_empty() {
            let block = head.varint32()?;
            if !matches!(block, INFO_PAIRS | INFO_PERSISTENT) {
                break;
            }
            let count = head.varint32()? as usize;
            // A pair takes two bytes, the lengths of nothing and nothing.
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

/// Whether the message is compressed. Data of a transform that is not enabled is not read.
fn read_transforms(head: &mut Cursor<'_>, limits: &Limits) -> Result<bool, WireError> {
    let count = head.varint32()? as usize;
    if head.holds(count, 1)? == 0 {
        return Ok(false);
    }
    match (head.varint32()?, count) {
        (ZLIB, 1) if limits.inflated_bytes_max > 0 => Ok(true),
        (ZLIB, 1) => Err(unknown_transform("zlib, which is not enabled here")),
        (_, 2..) => Err(unknown_transform("more than one transform")),
        (2, _) => Err(unknown_transform("an HMAC")),
        (3, _) => Err(unknown_transform("snappy")),
        (other, _) => Err(unknown_transform(&format!("transform {other}"))),
    }
}

fn unknown_transform(what: &str) -> WireError {
    WireError::new(
        Code::WireUnknownTransform,
        format!("the frame has {what}: send it untransformed"),
    )
}

fn protocol_of(number: u32, message: &Bytes) -> Result<Protocol, WireError> {
    match (number, message.first()) {
        // Old messages begin with the length of a name, new ones with a version.
        (BINARY, Some(0)) => Ok(Protocol::BinaryOld),
        (BINARY, _) => Ok(Protocol::Binary),
        (COMPACT, _) => Ok(Protocol::Compact),
        _ => Err(WireError::new(
            Code::WireUnknownProtocol,
            format!("the frame holds protocol {number}: use binary (0) or compact (2)"),
        )),
    }
}
