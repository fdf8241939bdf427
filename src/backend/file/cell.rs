//! Packs the values of a file into bytes, and reads them back the same.
//!
//! A cell is a header and a payload. The header is a variable-length integer: a number above three bits that are a tag. For
//! most tags the number is the length of the payload, so that a reader can pass over what it does not want. Text is stored
//! as it is: a value that is read shares the block's buffer. A block holds only what this file wrote.

use bytes::Bytes;

use crate::value::{Text, Value};

const TAG_BITS: u32 = 3;
/// The header of a list or map is written before its length is known, in this many bytes.
const OPEN_HEADER: usize = 5;

/// What a header's number means, and what the payload is.
mod tag {
    /// So many nulls in a row; there is no payload.
    pub(super) const NULLS: usize = 0;
    /// UTF-8 of this length.
    pub(super) const TEXT: usize = 1;
    /// An integer in this many bytes: zigzag, little endian.
    pub(super) const INTEGER: usize = 2;
    /// A double, as a byte that counts decimal places and an integer without them.
    pub(super) const DECIMAL: usize = 3;
    /// A double in eight bytes.
    pub(super) const DOUBLE: usize = 4;
    /// False or true; there is no payload.
    pub(super) const BOOL: usize = 5;
    /// Cells of this length together.
    pub(super) const LIST: usize = 6;
    /// Cells of this length together: a name, its value, and so on.
    pub(super) const MAP: usize = 7;
}

/// A value in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    tag: usize,
    number: usize,
    /// Where the payload begins.
    at: usize,
}

impl Cell {
    /// A cell that is not in the block.
    pub(super) const NULL: Cell = Cell {
        tag: tag::NULLS,
        number: 1,
        at: 0,
    };

    /// The cell at `at`.
    #[inline]
    pub(super) fn read(block: &[u8], at: usize) -> Cell {
        let (header, at) = read_number(block, at);
        Cell {
            tag: header & ((1 << TAG_BITS) - 1),
            number: header >> TAG_BITS,
            at,
        }
    }

    /// Where the next cell begins.
    #[inline]
    pub(super) fn end(self) -> usize {
        match self.tag {
            tag::NULLS | tag::BOOL => self.at,
            _ => self.at + self.number,
        }
    }

    /// How many columns in a row are null here; 0 if it is not null.
    #[inline]
    pub(super) fn nulls(self) -> usize {
        if self.tag == tag::NULLS {
            self.number
        } else {
            0
        }
    }

    /// The bytes of a text.
    #[inline]
    pub(super) fn text(self, block: &[u8]) -> Option<&[u8]> {
        (self.tag == tag::TEXT).then(|| &block[self.at..self.end()])
    }

    /// The value.
    #[inline]
    pub(super) fn value(self, block: &Bytes) -> Value {
        match self.tag {
            tag::NULLS => Value::Null,
            tag::TEXT => Value::Text(Text::of_checked(block.slice(self.at..self.end()))),
            tag::INTEGER => Value::I64(read_integer(block, self.at, self.number)),
            tag::DECIMAL => Value::Double(self.decimal(block)),
            tag::BOOL => Value::Bool(self.number == 1),
            _ => self.rarer(block),
        }
    }

    fn decimal(self, block: &[u8]) -> f64 {
        let digits = read_integer(block, self.at + 1, self.number - 1);
        from_decimal(block[self.at], digits)
    }

    #[inline(never)]
    fn rarer(self, block: &Bytes) -> Value {
        let payload = &block[self.at..self.end()];
        match self.tag {
            tag::DOUBLE => {
                Value::Double(f64::from_le_bytes(payload.try_into().unwrap_or_default()))
            }
            tag::MAP => {
                let mut pairs = Vec::with_capacity(self.count(block) / 2);
                let mut at = self.at;
                while at < self.end() {
                    let name = Cell::read(block, at);
                    let value = Cell::read(block, name.end());
                    pairs.push((name.value(block), value.value(block)));
                    at = value.end();
                }
                Value::Map(pairs)
            }
            _ => Value::List(self.values(block)),
        }
    }

    fn values(self, block: &Bytes) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.count(block));
        let mut at = self.at;
        while at < self.end() {
            let cell = Cell::read(block, at);
            values.push(cell.value(block));
            at = cell.end();
        }
        values
    }

    /// How many cells a list or map has.
    fn count(self, block: &Bytes) -> usize {
        let (mut at, mut count) = (self.at, 0);
        while at < self.end() {
            at = Cell::read(block, at).end();
            count += 1;
        }
        count
    }
}

/// Appends `count` nulls.
pub(super) fn write_nulls(count: usize, out: &mut Vec<u8>) {
    write_header(tag::NULLS, count, out);
}

/// Appends a text, which has to be UTF-8.
pub(super) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_header(tag::TEXT, text.len(), out);
    out.extend_from_slice(text);
}

/// Appends the double that is spelt `text`, as its decimals if that is exact.
pub(super) fn write_double(number: f64, text: &str, out: &mut Vec<u8>) {
    match decimal(number, text) {
        Some((places, digits)) => {
            let bytes = integer_bytes(digits);
            let len = integer_len(bytes);
            write_header(tag::DECIMAL, 1 + len, out);
            out.push(places);
            out.extend_from_slice(&bytes[..len]);
        }
        None => write(&Value::Double(number), out),
    }
}

/// Appends any value of a file, which has no other kinds than CSV and JSON have.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(text.as_bytes(), out),
        Value::I64(number) => {
            let bytes = integer_bytes(*number);
            let len = integer_len(bytes);
            write_header(tag::INTEGER, len, out);
            out.extend_from_slice(&bytes[..len]);
        }
        Value::Double(number) => {
            write_header(tag::DOUBLE, size_of::<f64>(), out);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Bool(bit) => write_header(tag::BOOL, usize::from(*bit), out),
        Value::List(items) => nested(tag::LIST, out, |out| {
            for item in items {
                write(item, out);
            }
        }),
        Value::Map(pairs) => nested(tag::MAP, out, |out| {
            for (name, value) in pairs {
                write(name, out);
                write(value, out);
            }
        }),
        Value::Null | Value::Bytes(_) | Value::Uuid(_) | Value::Record(_) | Value::Enum(_) => {
            write_nulls(1, out);
        }
    }
}

/// Appends a list or map whose cells `fill` appends.
fn nested(tag: usize, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; OPEN_HEADER]);
    let begin = out.len();
    fill(out);
    let mut header = Vec::with_capacity(OPEN_HEADER);
    write_header(tag, out.len() - begin, &mut header);
    // Moving a long payload on each of many levels would take long; a header of full length does as well.
    if header.len() <= 2 {
        out.splice(at..begin, header);
        return;
    }
    while header.len() < OPEN_HEADER {
        if let Some(last) = header.last_mut() {
            *last |= 0x80;
        }
        header.push(0);
    }
    out.splice(at..begin, header);
}

fn write_header(tag: usize, number: usize, out: &mut Vec<u8>) {
    write_number(number << TAG_BITS | tag, out);
}

/// Appends seven bits per byte, the lowest first; each byte but the last has its highest bit set.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
pub(super) fn write_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at `at`, and where it ends.
#[inline]
pub(super) fn read_number(block: &[u8], at: usize) -> (usize, usize) {
    let first = block[at];
    if first < 0x80 {
        return (usize::from(first), at + 1);
    }
    let (mut number, mut shift, mut at) = (usize::from(first & 0x7f), 7, at + 1);
    loop {
        let byte = block[at];
        number |= usize::from(byte & 0x7f) << shift;
        at += 1;
        if byte < 0x80 {
            return (number, at);
        }
        shift += 7;
    }
}

/// Zigzag: the sign becomes the lowest bit.
fn integer_bytes(number: i64) -> [u8; 8] {
    ((number << 1) ^ (number >> 63))
        .cast_unsigned()
        .to_le_bytes()
}

/// How many bytes are left without the zeros at the end.
fn integer_len(bytes: [u8; 8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1)
}

/// The integer in `len` bytes at `at`.
#[inline]
fn read_integer(block: &[u8], at: usize, len: usize) -> i64 {
    let number = match block[at..].first_chunk() {
        // Eight bytes at once, of which the high ones belong to others.
        Some(bytes) if len < 8 => u64::from_le_bytes(*bytes) & ((1 << (8 * len)) - 1),
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            let bytes = block[at..at + len].iter().rev();
            bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
        }
    };
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The decimal places and digits of `text` if they give `number` again, bit by bit.
fn decimal(number: f64, text: &str) -> Option<(u8, i64)> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    if text.len() > 17 {
        return None;
    }
    let digits = [whole, places].concat().parse().ok()?;
    let count = u8::try_from(places.len()).ok()?;
    (from_decimal(count, digits).to_bits() == number.to_bits()).then_some((count, digits))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the writer checks that nothing is lost"
)]
fn from_decimal(places: u8, digits: i64) -> f64 {
    let power = POWERS.get(usize::from(places)).copied();
    digits as f64 / power.unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::parse_double;

    fn back(packed: Vec<u8>) -> Value {
        let block = Bytes::from(packed);
        let cell = Cell::read(&block, 0);
        assert_eq!(cell.end(), block.len(), "{block:?}");
        cell.value(&block)
    }

    fn same(left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Double(left), Value::Double(right)) => left.to_bits() == right.to_bits(),
            _ => left == right,
        }
    }

    #[track_caller]
    fn check(value: &Value) {
        let mut packed = Vec::new();
        write(value, &mut packed);
        let read = back(packed);
        assert!(same(&read, value), "{read:?} {value:?}");
    }

    #[test]
    fn values_are_read_back_the_same() {
        for number in [0, 1, -1, 63, 64, 127, 128, 255, 256, i64::MAX, i64::MIN] {
            check(&number.into());
        }
        for number in [0.0, -0.0, 1.5, f64::MAX, f64::INFINITY] {
            check(&number.into());
        }
        for len in [0, 1, 15, 16, 17, 2047, 2048, 1 << 20] {
            check(&"x".repeat(len).into());
            check(&vec!["x".repeat(len)].into());
        }
        let mut deep = Value::Map(vec![("é".into(), true.into()), ("".into(), Value::Null)]);
        for _ in 0..127 {
            deep = Value::List(vec![Value::Null, deep, false.into()]);
        }
        check(&deep);
    }

    #[test]
    fn short_decimals_take_few_bytes() {
        for (text, len) in [
            ("0.5", 3),
            ("40.64", 4),
            ("-0.0", 9),
            ("1e3", 9),
            ("7", 3),
            ("", 9),
        ] {
            let mut packed = Vec::new();
            write_double(parse_double(text).unwrap_or(0.25), text, &mut packed);
            assert_eq!(packed.len(), len, "{text}");
        }
    }

    proptest! {
        #[test]
        fn doubles_keep_every_bit(bits: u64, whole in -1_000_000_000_i64..1_000_000_000, places in 0_usize..12) {
            let text = format!("{:.places$}", f64::from(i32::try_from(whole / 7).expect("small")) / 1000.0);
            for text in [f64::from_bits(bits).to_string(), text] {
                let number = parse_double(&text).expect("a number");
                let mut packed = Vec::new();
                write_double(number, &text, &mut packed);
                prop_assert!(same(&back(packed), &Value::Double(number)), "{}", text);
            }
        }
    }
}
