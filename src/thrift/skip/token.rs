//! Reads one token of bytes that may not all be there yet.
//!
//! In: what has come so far and a place in it. Out: the token's numbers, or the word that more must come; the
//! caller takes the place over only when it has the whole token.

use crate::thrift::cursor::{Varint, size, varint};
use crate::thrift::{WireError, error::invalid};

/// Why a token was not stepped over.
pub(super) enum Stop {
    /// Its end has not come yet.
    More,
    Wrong(WireError),
}

impl From<WireError> for Stop {
    fn from(err: WireError) -> Self {
        Stop::Wrong(err)
    }
}

/// Looks at bytes from a place on; nothing is stepped over until the whole token is there.
pub(super) struct Token<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

impl Token<'_> {
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::More)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let rest = self.bytes.get(self.at..).ok_or(Stop::More)?;
        let array = *rest.first_chunk().ok_or(Stop::More)?;
        self.at += N;
        Ok(array)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Result<i32, Stop> {
        self.array().map(i32::from_be_bytes)
    }

    /// Steps over a number of variable length.
    #[inline]
    pub(super) fn varint(&mut self, bytes_max: usize) -> Result<(), Stop> {
        self.number(bytes_max).map(drop)
    }

    /// A compact length or count.
    #[inline]
    pub(super) fn count(&mut self) -> Result<usize, Stop> {
        let number = u32::try_from(self.number(5)?)
            .map_err(|_| invalid("a size does not fit its 32 bits"))?;
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
