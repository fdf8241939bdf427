//! The binary protocol: fixed-width numbers in network order, a length before each string.
//!
//! In: one message that is wholly there, or a buffer to append to. Out: values, or bytes. Strict and old
//! binary differ in the message's head alone. Spec: `doc/specs/thrift-binary-protocol.md` of Apache Thrift.

use bytes::{BufMut, Bytes, BytesMut};
use thrift::protocol::TType;

use super::cursor::{Cursor, size};
use super::error::{invalid, unknown_type};
use super::{
    Budget, Head, HeadOut, Input, Output, Protocol, WireError, message_kind, method_name, skip,
};

/// Version 1 in the upper half of the head's first word.
const VERSION: u32 = 0x8001_0000;

/// Reads binary from one message.
#[derive(Debug)]
pub struct BinaryInput<'a> {
    cursor: Cursor<'a>,
    strict: bool,
}

impl<'a> BinaryInput<'a> {
    /// Reads `message`; `strict` says which head it has.
    #[inline]
    pub fn new(message: &'a Bytes, strict: bool) -> Self {
        BinaryInput {
            cursor: Cursor::new(message),
            strict,
        }
    }
}

impl Input for BinaryInput<'_> {
    fn head(&mut self) -> Result<Head, WireError> {
        if self.strict {
            let word = u32::from_be_bytes(self.cursor.array()?);
            if word & 0xffff_0000 != VERSION {
                return Err(invalid("the message does not begin with binary's version"));
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
        let length = skip::value(Protocol::Binary, ty, self.cursor.rest(), budget)?;
        self.cursor.advance(length)
    }

    #[inline]
    fn remaining(&self) -> usize {
        self.cursor.rest().len()
    }
}

/// The type that `number` stands for.
#[inline]
pub(crate) fn type_of(number: u8) -> Option<TType> {
    Some(match number {
        2 => TType::Bool,
        3 => TType::I08,
        4 => TType::Double,
        6 => TType::I16,
        8 => TType::I32,
        10 => TType::I64,
        11 => TType::String,
        12 => TType::Struct,
        13 => TType::Map,
        14 => TType::Set,
        15 => TType::List,
        16 => TType::Uuid,
        _ => return None,
    })
}

/// The same for elements; an empty container's type may be anything.
#[inline]
pub(crate) fn element_type(number: u8, count: usize) -> Result<TType, WireError> {
    match type_of(number) {
        Some(ty) => Ok(ty),
        None if count == 0 => Ok(TType::Stop),
        None => Err(unknown_type(number)),
    }
}

/// The fewest bytes a value of `ty` takes: exact for types of fixed width.
#[inline]
pub(crate) fn bytes_min(ty: TType) -> usize {
    match ty {
        TType::I16 => 2,
        TType::I32 | TType::String => 4,
        TType::I64 | TType::Double => 8,
        TType::Uuid => 16,
        TType::List | TType::Set => 5,
        TType::Map => 6,
        // Bool and i8; a struct is at least its stop byte.
        _ => 1,
    }
}

#[inline]
fn number_of(ty: TType) -> u8 {
    match ty {
        TType::Bool => 2,
        TType::I08 => 3,
        TType::Double => 4,
        TType::I16 => 6,
        TType::I32 => 8,
        TType::I64 => 10,
        TType::String => 11,
        TType::Struct => 12,
        TType::Map => 13,
        TType::Set => 14,
        TType::List => 15,
        TType::Uuid => 16,
        // Never asked for: `wire_type` yields none of these.
        TType::Stop | TType::Void | TType::Utf7 => 0,
    }
}

/// Appends binary to a buffer.
#[derive(Debug)]
pub struct BinaryOutput<'a> {
    out: &'a mut BytesMut,
    strict: bool,
}

impl<'a> BinaryOutput<'a> {
    /// Appends to `out`; `strict` says which head a message gets.
    #[inline]
    pub fn new(out: &'a mut BytesMut, strict: bool) -> Self {
        BinaryOutput { out, strict }
    }
}

impl Output for BinaryOutput<'_> {
    fn head(&mut self, head: &HeadOut<'_>, name_length: u32) {
        let kind = u8::from(head.kind);
        if self.strict {
            self.out.put_u32(VERSION | u32::from(kind));
            self.bytes(head.name.as_bytes(), name_length);
        } else {
            self.bytes(head.name.as_bytes(), name_length);
            self.out.put_u8(kind);
        }
        self.i32(head.sequence);
    }

    #[inline]
    fn field(&mut self, ty: TType, _last: i16, id: i16) {
        let [high, low] = id.to_be_bytes();
        self.out.put_slice(&[number_of(ty), high, low]);
    }

    #[inline]
    fn bool_field(&mut self, _last: i16, id: i16, value: bool) {
        let [high, low] = id.to_be_bytes();
        self.out
            .put_slice(&[number_of(TType::Bool), high, low, u8::from(value)]);
    }

    #[inline]
    fn stop(&mut self) {
        self.out.put_u8(0);
    }

    #[inline]
    fn bool(&mut self, value: bool) {
        self.out.put_u8(u8::from(value));
    }

    #[inline]
    fn i8(&mut self, value: i8) {
        self.out.put_i8(value);
    }

    #[inline]
    fn i16(&mut self, value: i16) {
        self.out.put_i16(value);
    }

    #[inline]
    fn i32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    #[inline]
    fn i64(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    #[inline]
    fn double(&mut self, value: f64) {
        self.out.put_f64(value);
    }

    #[inline]
    fn uuid(&mut self, value: &[u8; 16]) {
        self.out.put_slice(value);
    }

    #[inline]
    fn bytes(&mut self, value: &[u8], length: u32) {
        // One growth check for both.
        self.out.reserve(4 + value.len());
        self.out.put_u32(length);
        self.out.put_slice(value);
    }

    #[inline]
    fn list(&mut self, ty: TType, count: u32) {
        let [a, b, c, d] = count.to_be_bytes();
        self.out.put_slice(&[number_of(ty), a, b, c, d]);
    }

    #[inline]
    fn map(&mut self, key: TType, value: TType, count: u32) {
        let [a, b, c, d] = count.to_be_bytes();
        self.out
            .put_slice(&[number_of(key), number_of(value), a, b, c, d]);
    }
}
