//! Takes bytes off the front of one whole message, never past its end.
//!
//! Out: numbers by value, strings as slices of the message. All protocols read through it, so this is the one
//! place where a declared length is compared with the bytes that are left.

use bytes::Bytes;

use super::error::{WireError, invalid, negative, overlong, truncated};

/// A position in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    /// The whole message, from which slices are cut.
    message: &'a Bytes,
    /// The bytes after the position.
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(message: &'a Bytes) -> Self {
        Cursor {
            message,
            rest: message,
        }
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    /// `length` bytes, as a slice of the message.
    #[inline]
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Bytes, WireError> {
        let Some((head, rest)) = self.rest.split_at_checked(length) else {
            return Err(overlong(length, self.rest.len()));
        };
        self.rest = rest;
        Ok(self.message.slice_ref(head))
    }

    /// Skips `length` bytes.
    #[inline]
    pub(crate) fn advance(&mut self, length: usize) -> Result<(), WireError> {
        let Some((_, rest)) = self.rest.split_at_checked(length) else {
            return Err(overlong(length, self.rest.len()));
        };
        self.rest = rest;
        Ok(())
    }

    /// Checks that the rest can hold `count` elements of at least `bytes_min` bytes each.
    #[inline]
    pub(crate) fn holds(&self, count: usize, bytes_min: usize) -> Result<usize, WireError> {
        match count.checked_mul(bytes_min) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(overlong(count, self.rest.len())),
        }
    }

    /// A number of at most 32 bits, seven bits per byte, lowest first.
    #[inline]
    pub(crate) fn varint32(&mut self) -> Result<u32, WireError> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u32::from(byte));
        }
        let wide = self.varint(5)?;
        u32::try_from(wide).map_err(|_| invalid("a number does not fit into 32 bits"))
    }

    /// A number of at most 64 bits.
    #[inline]
    pub(crate) fn varint64(&mut self) -> Result<u64, WireError> {
        self.varint(10)
    }

    fn varint(&mut self, bytes_max: usize) -> Result<u64, WireError> {
        match varint(self.rest, bytes_max) {
            Varint::Whole(number, length) => {
                self.rest = &self.rest[length..];
                Ok(number)
            }
            Varint::Cut => Err(truncated()),
            Varint::Overlong => Err(invalid("a number has too many bytes")),
        }
    }
}

/// The outcome of [`varint`].
pub(crate) enum Varint {
    /// The number, and how many bytes it took.
    Whole(u64, usize),
    /// The bytes end before the number does.
    Cut,
    /// The number has too many bytes, or more than 64 bits.
    Overlong,
}

/// The number at the front of `bytes`.
#[inline]
pub(crate) fn varint(bytes: &[u8], bytes_max: usize) -> Varint {
    let mut number = 0;
    for (at, &byte) in bytes.iter().take(bytes_max).enumerate() {
        // The tenth byte holds only the 64th bit.
        if at == 9 && byte > 1 {
            return Varint::Overlong;
        }
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Varint::Whole(number, at + 1);
        }
    }
    if bytes.len() < bytes_max {
        Varint::Cut
    } else {
        Varint::Overlong
    }
}

/// A declared length or count, which must not be negative.
#[inline]
pub(crate) fn size(declared: i32) -> Result<usize, WireError> {
    usize::try_from(declared).map_err(|_| negative(declared))
}
