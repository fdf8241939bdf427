//! Reads binary tokens from one whole message: numbers, counts, and strings as slices of the message.
//!
//! A count is refused if the rest of the message cannot hold that many elements. Nothing here knows a schema.

use bytes::Bytes;
use thrift::protocol::TType;

use super::types::{Strict, VERSION, bytes_min, element_type, type_of};
use crate::thrift::budget::Budget;
use crate::thrift::codec::ProtocolReader;
use crate::thrift::cursor::{Cursor, size};
use crate::thrift::error::{WireError, invalid, unknown_type};
use crate::thrift::head::{Head, message_kind, method_name};
use crate::thrift::skip;

/// Reads binary from one message.
#[derive(Debug)]
pub(crate) struct BinaryReader<'a> {
    cursor: Cursor<'a>,
    /// Whether the head has a version.
    strict: bool,
}

impl<'a> BinaryReader<'a> {
    /// Reads `message`; `strict` says whether its head has a version.
    #[inline]
    pub(super) fn new(message: &'a Bytes, strict: bool) -> Self {
        BinaryReader {
            cursor: Cursor::new(message),
            strict,
        }
    }
}

impl ProtocolReader for BinaryReader<'_> {
    fn head(&mut self) -> Result<Head, WireError> {
        if self.strict {
            let word = u32::from_be_bytes(self.cursor.array()?);
            if word & 0xffff_0000 != VERSION {
                return Err(invalid(
                    "the message does not begin with the version of binary",
                ));
            }
            let kind = message_kind(word.to_be_bytes()[3])?;
            let name = method_name(self.bytes()?)?;
            Ok(Head {
                name,
                kind,
                sequence: self.i32()?,
            })
        } else {
            let name = method_name(self.bytes()?)?;
            let kind = message_kind(self.cursor.byte()?)?;
            Ok(Head {
                name,
                kind,
                sequence: self.i32()?,
            })
        }
    }

    #[inline]
    fn field(&mut self, _last: i16) -> Result<Option<(TType, i16)>, WireError> {
        let number = self.cursor.byte()?;
        if number == 0 {
            return Ok(None);
        }
        let ty = type_of(number).ok_or_else(|| unknown_type(number))?;
        Ok(Some((ty, self.i16()?)))
    }

    #[inline]
    fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.cursor.byte()? != 0)
    }

    #[inline]
    fn i8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn double(&mut self) -> Result<f64, WireError> {
        Ok(f64::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn uuid(&mut self) -> Result<[u8; 16], WireError> {
        self.cursor.array()
    }

    #[inline]
    fn bytes(&mut self) -> Result<Bytes, WireError> {
        let length = size(self.i32()?)?;
        self.cursor.bytes(length)
    }

    #[inline]
    fn list(&mut self) -> Result<(TType, usize), WireError> {
        let number = self.cursor.byte()?;
        let count = size(self.i32()?)?;
        let ty = element_type(number, count)?;
        Ok((ty, self.cursor.holds(count, bytes_min(ty))?))
    }

    #[inline]
    fn map(&mut self) -> Result<(TType, TType, usize), WireError> {
        let [key, value] = self.cursor.array()?;
        let count = size(self.i32()?)?;
        let (key, value) = (element_type(key, count)?, element_type(value, count)?);
        let count = self
            .cursor
            .holds(count, bytes_min(key) + bytes_min(value))?;
        Ok((key, value, count))
    }

    fn skip(&mut self, ty: TType, budget: &mut Budget) -> Result<(), WireError> {
        let length = skip::value::<Strict>(ty, self.cursor.rest(), budget)?;
        self.cursor.advance(length)
    }

    #[inline]
    fn remaining(&self) -> usize {
        self.cursor.rest().len()
    }
}
