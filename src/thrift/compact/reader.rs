//! Reads compact tokens from one whole message: numbers, counts, and strings as slices of the message.
//!
//! A count is refused if the rest of the message cannot hold that many elements. Nothing here knows a schema.

use bytes::Bytes;
use thrift::protocol::TType;

use super::types::{Compact, FALSE, PROTOCOL_ID, TRUE, VERSION, bytes_min, element_type, type_of};
use crate::thrift::budget::Budget;
use crate::thrift::codec::ProtocolReader;
use crate::thrift::cursor::{Cursor, size};
use crate::thrift::error::{WireError, invalid, unknown_type};
use crate::thrift::head::{Head, message_kind, method_name};
use crate::thrift::skip;

/// Reads compact from one message.
#[derive(Debug)]
pub(crate) struct CompactReader<'a> {
    cursor: Cursor<'a>,
    /// The value of the bool field being read: it came with the field's head.
    field_bool: Option<bool>,
}

impl<'a> CompactReader<'a> {
    /// Reads `message`.
    #[inline]
    pub(super) fn new(message: &'a Bytes) -> Self {
        CompactReader {
            cursor: Cursor::new(message),
            field_bool: None,
        }
    }
}

impl ProtocolReader for CompactReader<'_> {
    fn head(&mut self) -> Result<Head, WireError> {
        let [id, second] = self.cursor.array()?;
        if id != PROTOCOL_ID || second & 0x1f != VERSION {
            return Err(invalid(
                "the message does not begin with the version of compact",
            ));
        }
        let kind = message_kind(second >> 5)?;
        // The only signed number that is not zigzag-encoded.
        let sequence = self.cursor.varint32()?.cast_signed();
        let name = method_name(self.bytes()?)?;
        Ok(Head {
            name,
            kind,
            sequence,
        })
    }

    #[inline]
    fn field(&mut self, last: i16) -> Result<Option<(TType, i16)>, WireError> {
        let byte = self.cursor.byte()?;
        let (step, number) = (byte >> 4, byte & 0x0f);
        if number == 0 {
            return Ok(None);
        }
        let ty = type_of(number).ok_or_else(|| unknown_type(number))?;
        if ty == TType::Bool {
            self.field_bool = Some(number == TRUE);
        }
        let id = if step == 0 {
            self.i16()?
        } else {
            last.checked_add(i16::from(step))
                .ok_or_else(|| invalid("a field's id does not fit into 16 bits"))?
        };
        Ok(Some((ty, id)))
    }

    #[inline]
    fn bool(&mut self) -> Result<bool, WireError> {
        if let Some(value) = self.field_bool.take() {
            return Ok(value);
        }
        match self.cursor.byte()? {
            TRUE => Ok(true),
            // An early version of the specification used 0, and some libraries wrote it.
            FALSE | 0 => Ok(false),
            other => Err(invalid(format!("{other} is not a bool"))),
        }
    }

    #[inline]
    fn i8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn i16(&mut self) -> Result<i16, WireError> {
        i16::try_from(self.i32()?).map_err(|_| invalid("a number does not fit into 16 bits"))
    }

    #[inline]
    fn i32(&mut self) -> Result<i32, WireError> {
        let number = self.cursor.varint32()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    #[inline]
    fn i64(&mut self) -> Result<i64, WireError> {
        let number = self.cursor.varint64()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    #[inline]
    fn double(&mut self) -> Result<f64, WireError> {
        Ok(f64::from_le_bytes(self.cursor.array()?))
    }

    #[inline]
    fn uuid(&mut self) -> Result<[u8; 16], WireError> {
        self.cursor.array()
    }

    #[inline]
    fn bytes(&mut self) -> Result<Bytes, WireError> {
        let length = size(self.cursor.varint32()?.cast_signed())?;
        self.cursor.bytes(length)
    }

    #[inline]
    fn list(&mut self) -> Result<(TType, usize), WireError> {
        let byte = self.cursor.byte()?;
        let count = match byte >> 4 {
            // The count does not fit into four bits.
            15 => size(self.cursor.varint32()?.cast_signed())?,
            few => usize::from(few),
        };
        let ty = element_type(byte & 0x0f, count)?;
        Ok((ty, self.cursor.holds(count, bytes_min(ty))?))
    }

    #[inline]
    fn map(&mut self) -> Result<(TType, TType, usize), WireError> {
        let count = size(self.cursor.varint32()?.cast_signed())?;
        if count == 0 {
            return Ok((TType::Stop, TType::Stop, 0));
        }
        let types = self.cursor.byte()?;
        let (key, value) = (
            element_type(types >> 4, count)?,
            element_type(types & 0x0f, count)?,
        );
        let count = self
            .cursor
            .holds(count, bytes_min(key) + bytes_min(value))?;
        Ok((key, value, count))
    }

    fn skip(&mut self, ty: TType, budget: &mut Budget) -> Result<(), WireError> {
        if self.field_bool.take().is_some() {
            return budget.spend(1);
        }
        let length = skip::value::<Compact>(ty, self.cursor.rest(), budget)?;
        self.cursor.advance(length)
    }

    #[inline]
    fn remaining(&self) -> usize {
        self.cursor.rest().len()
    }
}
