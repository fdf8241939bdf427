//! Appends binary tokens to a buffer.
//!
//! Callers have checked that lengths and counts fit, so nothing here can fail.

use bytes::{BufMut, BytesMut};
use thrift::protocol::TType;

use super::types::{VERSION, number_of};
use crate::thrift::codec::{Appendix, ProtocolWriter};
use crate::thrift::head::HeadOut;

/// Appends binary to a buffer.
#[derive(Debug)]
pub(crate) struct BinaryWriter<'a> {
    out: &'a mut BytesMut,
    strict: bool,
}

impl<'a> BinaryWriter<'a> {
    /// Appends to `out`; `strict` says whether the head of a message has a version.
    #[inline]
    pub(crate) fn new(out: &'a mut BytesMut, strict: bool) -> Self {
        BinaryWriter { out, strict }
    }
}

impl ProtocolWriter for BinaryWriter<'_> {
    #[inline]
    fn appendix(&mut self, appendix: &dyn Appendix) {
        appendix.append(self.out);
    }

    #[inline]
    fn binary_buffer(&mut self) -> Option<&mut BytesMut> {
        Some(self.out)
    }

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

    // The next two methods check the capacity once instead of once per part.
    #[inline]
    fn i64_field(&mut self, _last: i16, id: i16, value: i64) {
        let mut field = [number_of(TType::I64), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        field[1..3].copy_from_slice(&id.to_be_bytes());
        field[3..].copy_from_slice(&value.to_be_bytes());
        self.out.put_slice(&field);
    }

    #[inline]
    fn bytes_field(&mut self, _last: i16, id: i16, value: &[u8], length: u32) {
        let ([high, low], [a, b, c, d]) = (id.to_be_bytes(), length.to_be_bytes());
        self.out.reserve(7 + value.len());
        self.out
            .put_slice(&[number_of(TType::String), high, low, a, b, c, d]);
        self.out.put_slice(value);
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
        // One capacity check for both.
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
