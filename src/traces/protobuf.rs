//! Writes spans as OTLP protobuf. The numbers of fields are those of `opentelemetry/proto/trace/v1/trace.proto`,
//! `common.proto`, `resource.proto` and `trace_service.proto`, version 1.

use super::call_spans::SpanMaker;
use super::resource::Resource;
use super::span::{AttributeValue, Span};
use crate::recorder::RecordedCall;

/// A key and a length take at most so many bytes.
const MARGIN: usize = 12;
/// The status of a span that failed.
const STATUS_ERROR: u64 = 2;

/// How many bytes are kept free for the length of a message. A length of another size moves what was written.
#[derive(Clone, Copy)]
enum Room {
    /// Less than 128 bytes.
    Short = 1,
    /// Less than 16 KiB.
    Medium = 2,
    /// Less than 2 MiB.
    Long = 3,
}

/// Writes one `ExportTraceServiceRequest` with the spans of `calls` into `request`, which is empty.
pub(super) fn to_protobuf<'c>(
    resource: &Resource,
    calls: impl Iterator<Item = &'c RecordedCall>,
    request: &mut Vec<u8>,
) {
    let mut message = Message(std::mem::take(request));
    // resource_spans
    message.message(1, Room::Long, |of| {
        // resource
        of.message(1, Room::Medium, |of| {
            for (name, value) in resource.attributes() {
                attribute(of, 1, name, &AttributeValue::Text(value.into()));
            }
        });
        // scope_spans
        of.message(2, Room::Long, |of| {
            // scope
            of.message(1, Room::Short, |of| {
                of.bytes(1, b"tributary");
                of.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            let mut maker = SpanMaker::new();
            for call in calls {
                maker.each(call, |span| {
                    let room = if span.attributes.is_empty() {
                        Room::Short
                    } else {
                        Room::Medium
                    };
                    of.message(2, room, |of| of_span(of, span));
                });
            }
        });
    });
    *request = message.0;
}

/// The number of spans that the collector says it did not take, in an `ExportTraceServiceResponse`.
pub(super) fn rejected(response: &[u8]) -> Option<u64> {
    // partial_success.rejected_spans
    let partial = field(response, 1)?;
    let Found::Bytes(partial) = partial else {
        return None;
    };
    match field(partial, 1)? {
        Found::Number(rejected) => Some(rejected),
        Found::Bytes(_) => None,
    }
}

fn of_span(of: &mut Message, span: &Span<'_>) {
    of.bytes(1, &span.trace.to_be_bytes());
    of.bytes(2, &span.id.to_be_bytes());
    if let Some(parent) = span.parent {
        of.bytes(4, &parent.to_be_bytes());
    }
    of.bytes(5, span.name.as_bytes());
    of.number(6, span.kind as u64);
    of.fixed64(7, span.start);
    of.fixed64(8, span.end);
    for (name, value) in &span.attributes {
        attribute(of, 9, name, value);
    }
    if let Some((at, name)) = span.event {
        of.message(11, Room::Short, |of| {
            of.fixed64(1, at);
            of.bytes(2, name.as_bytes());
        });
    }
    for link in &span.links {
        of.message(13, Room::Short, |of| {
            of.bytes(1, &span.trace.to_be_bytes());
            of.bytes(2, &link.to_be_bytes());
        });
    }
    if span.failed {
        of.message(15, Room::Short, |of| of.number(3, STATUS_ERROR));
    }
    of.fixed32(16, span.flags());
}

/// A `KeyValue` in a field. Spans have many of them, so their lengths are computed before, not after they are written.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is part of less than 128 bytes is shorter still"
)]
fn attribute(of: &mut Message, field: u8, name: &str, value: &AttributeValue<'_>) {
    let of_value = match value {
        AttributeValue::Text(text) => bytes_len(text.len()),
        AttributeValue::Bool(_) => 2,
        AttributeValue::Int(number) => 1 + varint_len(number.cast_unsigned()),
    };
    let whole = bytes_len(name.len()) + bytes_len(of_value);
    of.0.reserve(MARGIN + whole);
    match u8::try_from(whole) {
        // Each length within it is a byte as well.
        Ok(whole @ 0..0x80) => {
            of.0.extend_from_slice(&[field << 3 | 2, whole, 1 << 3 | 2, name.len() as u8]);
            of.0.extend_from_slice(name.as_bytes());
            of.0.extend_from_slice(&[2 << 3 | 2, of_value as u8]);
        }
        _ => {
            of.key(field.into(), 2);
            of.varint(whole as u64);
            of.bytes(1, name.as_bytes());
            of.key(2, 2);
            of.varint(of_value as u64);
        }
    }
    match value {
        AttributeValue::Text(text) => of.bytes(1, text.as_bytes()),
        AttributeValue::Bool(bit) => of.number(2, u64::from(*bit)),
        AttributeValue::Int(number) => of.number(3, number.cast_unsigned()),
    }
}

/// The bytes of a message. The types of fields on the wire: 0 a number, 1 eight bytes, 2 bytes after their length, 5 four
/// bytes.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    #[inline]
    fn varint(&mut self, number: u64) {
        // Most numbers are keys and lengths of texts, which are short.
        match u8::try_from(number) {
            Ok(byte @ 0..0x80) => self.0.push(byte),
            _ => self.long_varint(number),
        }
    }

    #[cold]
    fn long_varint(&mut self, number: u64) {
        let (bytes, len) = varint(number);
        self.0.extend_from_slice(&bytes[..len]);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, 0);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.key(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.key(field, 5);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A message in this one. Its length is known once it is written.
    fn message(&mut self, field: u64, room: Room, write: impl FnOnce(&mut Message)) {
        self.key(field, 2);
        let (at, room) = (self.0.len(), room as usize);
        self.0.resize(at + room, 0);
        let start = self.0.len();
        write(self);
        let (bytes, len) = varint((self.0.len() - start) as u64);
        if len == room {
            self.0[at..start].copy_from_slice(&bytes[..len]);
        } else {
            self.0.splice(at..start, bytes[..len].iter().copied());
        }
    }
}

/// How many bytes a field takes that has so many.
fn bytes_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// How many groups of seven bits a number has.
fn varint_len(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// A number in groups of seven bits, the lowest first, and how many groups there are.
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn varint(mut number: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut len = 0;
    while number >= 0x80 {
        bytes[len] = number as u8 | 0x80;
        number >>= 7;
        len += 1;
    }
    bytes[len] = number as u8;
    (bytes, len + 1)
}

/// The value of a field.
#[derive(Debug, PartialEq)]
enum Found<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

/// The first field with this number; `None` if there is none, or before it something that is no message.
fn field(mut message: &[u8], wanted: u64) -> Option<Found<'_>> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        let found = match key & 7 {
            0 => Found::Number(take_varint(&mut message)?),
            1 => Found::Bytes(message.split_off(..8)?),
            2 => {
                let len = usize::try_from(take_varint(&mut message)?).ok()?;
                Found::Bytes(message.split_off(..len)?)
            }
            5 => Found::Bytes(message.split_off(..4)?),
            _ => return None,
        };
        if key >> 3 == wanted {
            return Some(found);
        }
    }
    None
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_those_of_the_specification() {
        let mut message = Message::default();
        // The examples of https://protobuf.dev/programming-guides/encoding/
        message.number(1, 150);
        message.bytes(2, b"testing");
        message.message(3, Room::Short, |of| of.number(1, 150));
        let expected = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01";
        assert_eq!(message.0, expected);
        let mut long = Message::default();
        long.message(1, Room::Short, |of| of.bytes(1, &[7; 200]));
        assert_eq!(long.0[..6], [0x0a, 0xcb, 0x01, 0x0a, 0xc8, 0x01]);
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let of_len = |room| {
                let mut message = Message::default();
                message.message(1, room, |of| of.0.resize(of.0.len() + len, 7));
                message.0
            };
            let expected = of_len(Room::Short);
            assert_eq!(expected.len(), bytes_len(len));
            assert_eq!(field(&expected, 1), Some(Found::Bytes(&vec![7; len])));
            assert_eq!(of_len(Room::Medium), expected);
            assert_eq!(of_len(Room::Long), expected);
        }
        let mut negative = Message::default();
        negative.number(1, (-1_i64).cast_unsigned());
        assert_eq!(negative.0.len(), 11);
        assert_eq!(field(&negative.0, 1), Some(Found::Number(u64::MAX)));
    }

    #[test]
    fn an_attribute_is_as_long_as_it_says() {
        let long = "x".repeat(200);
        let of_text = AttributeValue::Text(long.as_str().into());
        for value in [
            AttributeValue::Text("".into()),
            of_text,
            AttributeValue::Bool(true),
            AttributeValue::Int(0),
            AttributeValue::Int(300),
            AttributeValue::Int(-1),
        ] {
            for name in ["n", &long] {
                let mut message = Message::default();
                attribute(&mut message, 9, name, &value);
                message.number(15, 1);
                assert_eq!(field(&message.0, 15), Some(Found::Number(1)));
                let Some(Found::Bytes(pair)) = field(&message.0, 9) else {
                    panic!("no attribute");
                };
                assert_eq!(field(pair, 1), Some(Found::Bytes(name.as_bytes())));
                let Some(Found::Bytes(of_value)) = field(pair, 2) else {
                    panic!("no value");
                };
                let expected = match &value {
                    AttributeValue::Text(text) => (1, Found::Bytes(text.as_bytes())),
                    AttributeValue::Bool(bit) => (2, Found::Number(u64::from(*bit))),
                    AttributeValue::Int(number) => (3, Found::Number(number.cast_unsigned())),
                };
                assert_eq!(field(of_value, expected.0), Some(expected.1));
            }
        }
    }

    #[test]
    fn the_spans_that_a_collector_rejects_are_read() {
        let mut response = Message::default();
        response.message(1, Room::Medium, |of| {
            of.number(1, 300);
            of.bytes(2, b"too old");
        });
        assert_eq!(rejected(&response.0), Some(300));
        assert_eq!(rejected(b""), None);
        for cut in 1..response.0.len() {
            let _no_panic = rejected(&response.0[..cut]);
        }
        for garbage in [
            &b"\xff"[..],
            b"<html>",
            &[0xff; 20],
            b"\x0a\xff\xff\xff\xff\x0f",
        ] {
            assert_eq!(rejected(garbage), None);
        }
    }
}
