//! The layout of binary, for skipping.

use thrift::protocol::TType;

use super::types::{Binary, VERSION, bytes_min, element_type, type_of};
use crate::thrift::cursor::size;
use crate::thrift::error::{invalid, unknown_type};
use crate::thrift::skip::{SkipRules, Stop, Token};

impl<const STRICT: bool> SkipRules for Binary<STRICT> {
    fn head(token: &mut Token<'_>) -> Result<(usize, usize), Stop> {
        if !STRICT {
            // The message type and the sequence id follow the name.
            return Ok((size(token.i32()?)?, 5));
        }
        let word = u32::from_be_bytes(token.array()?);
        if word & 0xffff_0000 != VERSION {
            return Err(invalid("the message does not begin with the version of binary").into());
        }
        Ok((size(token.i32()?)?, 4))
    }

    #[inline]
    fn field(token: &mut Token<'_>) -> Result<Option<TType>, Stop> {
        let number = token.byte()?;
        if number == 0 {
            return Ok(None);
        }
        token.array::<2>()?;
        Ok(Some(type_of(number).ok_or_else(|| unknown_type(number))?))
    }

    #[inline]
    fn length(token: &mut Token<'_>) -> Result<usize, Stop> {
        Ok(size(token.i32()?)?)
    }

    fn list(token: &mut Token<'_>) -> Result<(TType, usize), Stop> {
        let number = token.byte()?;
        let count = size(token.i32()?)?;
        Ok((element_type(number, count)?, count))
    }

    fn map(token: &mut Token<'_>) -> Result<(TType, TType, usize), Stop> {
        let [key, value] = token.array()?;
        let count = size(token.i32()?)?;
        Ok((
            element_type(key, count)?,
            element_type(value, count)?,
            count,
        ))
    }

    #[inline]
    fn width(ty: TType, _in_field: bool) -> Option<usize> {
        match ty {
            TType::Bool
            | TType::I08
            | TType::I16
            | TType::I32
            | TType::I64
            | TType::Double
            | TType::Uuid => Some(bytes_min(ty)),
            _ => None,
        }
    }

    #[inline]
    fn bytes_min(ty: TType) -> usize {
        bytes_min(ty)
    }
}
