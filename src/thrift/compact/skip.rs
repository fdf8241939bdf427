//! The layout of compact, for skipping.

use thrift::protocol::TType;

use super::types::{Compact, PROTOCOL_ID, VERSION, bytes_min, element_type, type_of};
use crate::thrift::error::{invalid, unknown_type};
use crate::thrift::skip::{SkipRules, Stop, Token};

impl SkipRules for Compact {
    fn head(token: &mut Token<'_>) -> Result<(usize, usize), Stop> {
        let [id, second] = token.array()?;
        if id != PROTOCOL_ID || second & 0x1f != VERSION {
            return Err(invalid("the message does not begin with the version of compact").into());
        }
        token.varint(5)?;
        Ok((token.count()?, 0))
    }

    #[inline]
    fn field(token: &mut Token<'_>) -> Result<Option<TType>, Stop> {
        let byte = token.byte()?;
        let number = byte & 0x0f;
        if number == 0 {
            return Ok(None);
        }
        if byte >> 4 == 0 {
            token.varint(5)?;
        }
        Ok(Some(type_of(number).ok_or_else(|| unknown_type(number))?))
    }

    #[inline]
    fn length(token: &mut Token<'_>) -> Result<usize, Stop> {
        token.count()
    }

    fn list(token: &mut Token<'_>) -> Result<(TType, usize), Stop> {
        let byte = token.byte()?;
        let count = match byte >> 4 {
            15 => token.count()?,
            few => usize::from(few),
        };
        Ok((element_type(byte & 0x0f, count)?, count))
    }

    fn map(token: &mut Token<'_>) -> Result<(TType, TType, usize), Stop> {
        let count = token.count()?;
        let types = if count == 0 { 0 } else { token.byte()? };
        let key = element_type(types >> 4, count)?;
        Ok((key, element_type(types & 0x0f, count)?, count))
    }

    #[inline]
    fn width(ty: TType, in_field: bool) -> Option<usize> {
        match ty {
            TType::Bool => Some(usize::from(!in_field)),
            TType::I08 => Some(1),
            TType::Double => Some(8),
            TType::Uuid => Some(16),
            _ => None,
        }
    }

    #[inline]
    fn bytes_min(ty: TType) -> usize {
        bytes_min(ty)
    }
}
