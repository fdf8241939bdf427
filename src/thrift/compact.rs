//! The compact protocol: zigzag numbers of variable length, field ids as steps, bools inside field heads.
//!
//! In: one message that is wholly there, or a buffer to append to. Out: values, or bytes. Doubles are little
//! endian, as every implementation has them. Spec: `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

use bytes::{BufMut, Bytes, BytesMut};
use thrift::protocol::TType;

use super::cursor::{Cursor, size};
use super::error::{invalid, unknown_type};
use super::{
    Budget, Head, HeadOut, Input, Output, Protocol, WireError, message_kind, method_name, skip,
};

/// A message's first byte.
const PROTOCOL_ID: u8 = 0x82;
/// The low five bits of its second.
const VERSION: u8 = 1;
const TRUE: u8 = 1;
const FALSE: u8 = 2;

/// Reads compact from one message.
#[derive(Debug)]
pub struct CompactInput<'a> {
    cursor: Cursor<'a>,
    /// The value that came with the head of the bool field being read.
    field_bool: Option<bool>,
}

impl<'a> CompactInput<'a> {
    /// Reads `message`.
    #[inline]
    pub fn new(message: &'a Bytes) -> Self {
        CompactInput {
            cursor: Cursor::new(message),
            field_bool: None,
        }
    }
}

impl Input for CompactInput<'_> {
    fn head(&mut self) -> Result<Head, WireError> {
        let [id, second] = self.cursor.array()?;
        if id != PROTOCOL_ID || second & 0x1f != VERSION {
            return Err(invalid("the message does not begin with compact's version"));
        }
        let kind = message_kind(second >> 5)?;
        // The one signed number that is not zigzag.
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
                .ok_or_else(|| invalid("a field's id does not fit its 16 bits"))?
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
            // 0 is what the spec said once and some wrote.
            FALSE | 0 => Ok(false),
            other => Err(invalid(format!("{other} is no bool"))),
        }
    }

    #[inline]
    fn i8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn i16(&mut self) -> Result<i16, WireError> {
        i16::try_from(self.i32()?).map_err(|_| invalid("a number does not fit its 16 bits"))
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
            // More than fit into four bits.
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
        let length = skip::value(Protocol::Compact, ty, self.cursor.rest(), budget)?;
        self.cursor.advance(length)
    }

    #[inline]
    fn remaining(&self) -> usize {
        self.cursor.rest().len()
    }
}

/// The type that `number` stands for. Both numbers of a bool are met as element types.
#[inline]
pub(crate) fn type_of(number: u8) -> Option<TType> {
    Some(match number {
        1 | 2 => TType::Bool,
        3 => TType::I08,
        4 => TType::I16,
        5 => TType::I32,
        6 => TType::I64,
        7 => TType::Double,
        8 => TType::String,
        9 => TType::List,
        10 => TType::Set,
        11 => TType::Map,
        12 => TType::Struct,
        13 => TType::Uuid,
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

/// The fewest bytes a value of `ty` takes as an element.
#[inline]
pub(crate) fn bytes_min(ty: TType) -> usize {
    match ty {
        TType::Double => 8,
        TType::Uuid => 16,
        _ => 1,
    }
}

#[inline]
fn number_of(ty: TType) -> u8 {
    match ty {
        // For elements; a field's number is its value.
        TType::Bool => TRUE,
        TType::I08 => 3,
        TType::I16 => 4,
        TType::I32 => 5,
        TType::I64 => 6,
        TType::Double => 7,
        TType::String => 8,
        TType::List => 9,
        TType::Set => 10,
        TType::Map => 11,
        TType::Struct => 12,
        TType::Uuid => 13,
        // Never asked for: `wire_type` yields none of these.
        TType::Stop | TType::Void | TType::Utf7 => 0,
    }
}

/// Appends compact to a buffer.
#[derive(Debug)]
pub struct CompactOutput<'a> {
    out: &'a mut BytesMut,
}

impl<'a> CompactOutput<'a> {
    /// Appends to `out`.
    #[inline]
    pub fn new(out: &'a mut BytesMut) -> Self {
        CompactOutput { out }
    }

    #[inline]
    fn varint(&mut self, mut number: u64) {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            bytes[length] = if number == 0 { low } else { low | 0x80 };
            length += 1;
            if number == 0 {
                break;
            }
        }
        self.out.put_slice(&bytes[..length]);
    }

    #[inline]
    fn field_head(&mut self, number: u8, last: i16, id: i16) {
        match u8::try_from(i32::from(id) - i32::from(last)) {
            Ok(step @ 1..=15) => self.out.put_u8(step << 4 | number),
            _ => {
                self.out.put_u8(number);
                self.i16(id);
            }
        }
    }
}

impl Output for CompactOutput<'_> {
    fn head(&mut self, head: &HeadOut<'_>, name_length: u32) {
        self.out
            .put_slice(&[PROTOCOL_ID, u8::from(head.kind) << 5 | VERSION]);
        self.varint(u64::from(head.sequence.cast_unsigned()));
        self.bytes(head.name.as_bytes(), name_length);
    }

    #[inline]
    fn field(&mut self, ty: TType, last: i16, id: i16) {
        self.field_head(number_of(ty), last, id);
    }

    #[inline]
    fn bool_field(&mut self, last: i16, id: i16, value: bool) {
        self.field_head(if value { TRUE } else { FALSE }, last, id);
    }

    #[inline]
    fn stop(&mut self) {
        self.out.put_u8(0);
    }

    #[inline]
    fn bool(&mut self, value: bool) {
        self.out.put_u8(if value { TRUE } else { FALSE });
    }

    #[inline]
    fn i8(&mut self, value: i8) {
        self.out.put_i8(value);
    }

    #[inline]
    fn i16(&mut self, value: i16) {
        self.i32(i32::from(value));
    }

    #[inline]
    fn i32(&mut self, value: i32) {
        self.varint(u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()));
    }

    #[inline]
    fn i64(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    #[inline]
    fn double(&mut self, value: f64) {
        self.out.put_f64_le(value);
    }

    #[inline]
    fn uuid(&mut self, value: &[u8; 16]) {
        self.out.put_slice(value);
    }

    #[inline]
    fn bytes(&mut self, value: &[u8], length: u32) {
        self.out.reserve(5 + value.len());
        self.varint(u64::from(length));
        self.out.put_slice(value);
    }

    #[inline]
    fn list(&mut self, ty: TType, count: u32) {
        match u8::try_from(count) {
            Ok(few @ 0..=14) => self.out.put_u8(few << 4 | number_of(ty)),
            _ => {
                self.out.put_u8(0xf0 | number_of(ty));
                self.varint(u64::from(count));
            }
        }
    }

    #[inline]
    fn map(&mut self, key: TType, value: TType, count: u32) {
        self.varint(u64::from(count));
        if count > 0 {
            self.out.put_u8(number_of(key) << 4 | number_of(value));
        }
    }
}
