//! Appends compact tokens to a buffer.
//!
//! Callers have checked that lengths and counts fit, so nothing here can fail.

use bytes::{BufMut, BytesMut};
use thrift::protocol::TType;

use super::types::{FALSE, PROTOCOL_ID, TRUE, VERSION, number_of};
use crate::thrift::codec::{Appendix, ProtocolWriter};
use crate::thrift::head::HeadOut;

/// Appends compact to a buffer.
#[derive(Debug)]
pub(crate) struct CompactWriter<'a> {
    out: &'a mut BytesMut,
}

impl<'a> CompactWriter<'a> {
    /// Appends to `out`.
    #[inline]
    pub(crate) fn new(out: &'a mut BytesMut) -> Self {
        CompactWriter { out }
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
        if let Ok(step @ 1..=15) = u8::try_from(i32::from(id) - i32::from(last)) {
            self.out.put_u8(step << 4 | number);
        } else {
            self.out.put_u8(number);
            self.i16(id);
        }
    }
}

impl ProtocolWriter for CompactWriter<'_> {
    #[inline]
    fn appendix(&mut self, appendix: &dyn Appendix) {
        appendix.append(self.out);
    }

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
        if let Ok(few @ 0..=14) = u8::try_from(count) {
            self.out.put_u8(few << 4 | number_of(ty));
        } else {
            self.out.put_u8(0xf0 | number_of(ty));
            self.varint(u64::from(count));
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
