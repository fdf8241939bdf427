//! Reads one token from bytes that may not all have arrived.
//!
//! In: the bytes so far and a position. Out: the token's numbers, or the answer that more bytes are needed. The
//! caller moves its own position only after it has the whole token.

use crate::thrift::cursor::{Varint, size, varint};
use crate::thrift::error::{WireError, invalid};

/// Why a token was not skipped.
pub(crate) enum Stop {
    /// Its end has not arrived.
    More,
    /// Its bytes are invalid.
    Wrong(WireError),
}

impl From<WireError> for Stop {
    fn from(err: WireError) -> Self {
        Stop::Wrong(err)
    }
}

/// A position in the bytes that have arrived.
pub(crate) struct Token<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

impl Token<'_> {
    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::More)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let rest = self.bytes.get(self.at..).ok_or(Stop::More)?;
        let array = *rest.first_chunk().ok_or(Stop::More)?;
        self.at += N;
        Ok(array)
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32, Stop> {
        self.array().map(i32::from_be_bytes)
    }

    /// Skips a number of variable length.
    #[inline]
    pub(crate) fn varint(&mut self, bytes_max: usize) -> Result<(), Stop> {
        self.number(bytes_max).map(drop)
    }

    /// A compact length or count.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<usize, Stop> {
        let number = u32::try_from(self.number(5)?)
            .map_err(|_| invalid("a size does not fit into 32 bits"))?;
        Ok(size(number.cast_signed())?)
    }

    #[inline]
    fn number(&mut self, bytes_max: usize) -> Result<u64, Stop> {
        let rest = self.bytes.get(self.at..).ok_or(Stop::More)?;
        match varint(rest, bytes_max) {
            Varint::Whole(number, length) => {
                self.at += length;
                Ok(number)
            }
            Varint::Cut => Err(Stop::More),
            Varint::Overlong => Err(invalid("a number has too many bytes").into()),
        }
    }
}
