//! Steps over values whose meaning is not needed, as far as the bytes go, and goes on from there later.
//!
//! In: the bytes of one message from its start, more of them each time. Out: where it ends, once that is known.
//! What is open is kept on an explicit stack, one small entry per struct or container, so deep nesting
//! costs no recursion, and bytes once stepped over are never looked at again. A token (a head, a length, a
//! number) is stepped over whole or not at all; the insides of strings are not looked at.

mod token;

use thrift::protocol::TType;

use super::cursor::size;
use super::error::{self, invalid, too_deep, truncated, unknown_type};
use super::limits::Budget;
use super::message::NAME_BYTES_MAX;
use super::{DEPTH_CEILING, Limits, Protocol, WireError, binary, compact};
use crate::error::Code;

use token::{Stop, Token};

/// How far one message or value has been stepped over.
#[derive(Debug)]
pub(crate) struct Skipper {
    protocol: Protocol,
    /// Bytes stepped over so far.
    at: usize,
    /// Bytes of known number that come next and are not looked at.
    owed: usize,
    /// What is open, outermost first.
    open: Vec<Open>,
    depth_max: usize,
    /// Nothing may go past this: the largest message, or the end of the message around a value.
    bytes_max: usize,
    /// What it is called when something does.
    past: Code,
    /// How many values may still be stepped over.
    values: usize,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    /// A message's head is next.
    Head,
    /// A field or a struct's end is next.
    Fields,
    /// `left` elements are next. A map counts keys and values: a value is next when `left` is odd.
    Elements { key: TType, value: TType, left: u64 },
}

/// Steps over one value that is wholly in `bytes`; how many bytes it takes. A bool is an element's.
pub(crate) fn value(
    protocol: Protocol,
    ty: TType,
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<usize, WireError> {
    let mut skipper = Skipper {
        protocol,
        at: 0,
        owed: 0,
        open: Vec::new(),
        depth_max: budget.depth,
        bytes_max: bytes.len(),
        past: Code::WireTruncated,
        values: budget.values,
    };
    let mut token = Token { bytes, at: 0 };
    match skipper.value(&mut token, ty, false) {
        Ok(()) => skipper.at = token.at,
        Err(Stop::More) => return Err(truncated()),
        Err(Stop::Wrong(err)) => return Err(err),
    }
    let end = skipper.run(bytes)?;
    budget.values = skipper.values;
    end.ok_or_else(truncated)
}

impl Skipper {
    /// At the start of a message.
    pub(crate) fn message(protocol: Protocol, limits: &Limits) -> Self {
        let mut skipper = Skipper {
            protocol,
            at: 0,
            owed: 0,
            open: Vec::new(),
            depth_max: limits.depth_max.min(DEPTH_CEILING),
            bytes_max: limits.frame_bytes_max,
            past: Code::WireFrameTooLarge,
            // A stream's values are paid for by the bytes that carry them.
            values: usize::MAX,
        };
        skipper.restart();
        skipper
    }

    /// Bytes stepped over so far.
    #[cfg(any(test, fuzzing))]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// At the start of the next message.
    pub(crate) fn restart(&mut self) {
        self.at = 0;
        self.owed = 0;
        self.values = usize::MAX;
        self.open.clear();
        self.open.extend([Open::Fields, Open::Head]);
    }

    /// Goes on in `bytes`, which begin where the message began. The message's length, once its end is there.
    pub(crate) fn run(&mut self, bytes: &[u8]) -> Result<Option<usize>, WireError> {
        // What stands past the limit is not looked at: that it has come already makes no difference.
        let bytes = &bytes[..bytes.len().min(self.bytes_max)];
        loop {
            let here = bytes.len().saturating_sub(self.at).min(self.owed);
            self.at += here;
            self.owed -= here;
            if self.owed > 0 {
                return Ok(None);
            }
            let Some(open) = self.open.last().copied() else {
                return Ok(Some(self.at));
            };
            let mut token = Token { bytes, at: self.at };
            match self.step(open, &mut token) {
                Ok(()) => self.at = token.at,
                Err(Stop::More) if bytes.len() < self.bytes_max => return Ok(None),
                Err(Stop::More) => return Err(self.past_the_end(1)),
                Err(Stop::Wrong(err)) => return Err(err),
            }
            if self.at.saturating_add(self.owed) > self.bytes_max {
                return Err(self.past_the_end(self.owed));
            }
        }
    }

    /// One token. Whatever this changes besides `token` comes after the last look for bytes.
    #[inline]
    fn step(&mut self, open: Open, token: &mut Token<'_>) -> Result<(), Stop> {
        match open {
            Open::Head => self.head(token),
            Open::Fields => self.field(token),
            Open::Elements { left: 0, .. } => {
                self.open.pop();
                Ok(())
            }
            Open::Elements { key, value, left } => {
                let depth = self.open.len() - 1;
                self.value(token, if left % 2 == 0 { key } else { value }, false)?;
                self.open[depth] = Open::Elements {
                    key,
                    value,
                    left: left - 1,
                };
                Ok(())
            }
        }
    }

    fn head(&mut self, token: &mut Token<'_>) -> Result<(), Stop> {
        let (name, rest) = match self.protocol {
            Protocol::Binary => {
                let [first, second, ..] = token.array::<4>()?;
                if (first, second) != (0x80, 0x01) {
                    return Err(invalid("the message does not begin with binary's version").into());
                }
                (size(token.i32()?)?, 4)
            }
            Protocol::BinaryOld => (size(token.i32()?)?, 5),
            Protocol::Compact => {
                let [first, second] = token.array()?;
                if first != 0x82 || second & 0x1f != 1 {
                    return Err(invalid("the message does not begin with compact's version").into());
                }
                token.varint(5)?;
                (token.count()?, 0)
            }
        };
        if name > NAME_BYTES_MAX {
            return Err(invalid(format!("the method's name has {name} bytes")).into());
        }
        self.owed = name + rest;
        self.open.pop();
        Ok(())
    }

    #[inline]
    fn field(&mut self, token: &mut Token<'_>) -> Result<(), Stop> {
        let byte = token.byte()?;
        let ty = if self.protocol == Protocol::Compact {
            let number = byte & 0x0f;
            if number == 0 {
                self.open.pop();
                return Ok(());
            }
            if byte >> 4 == 0 {
                token.varint(5)?;
            }
            compact::type_of(number).ok_or_else(|| unknown_type(number))?
        } else {
            if byte == 0 {
                self.open.pop();
                return Ok(());
            }
            token.array::<2>()?;
            binary::type_of(byte).ok_or_else(|| unknown_type(byte))?
        };
        self.value(token, ty, true)
    }

    #[inline]
    fn value(&mut self, token: &mut Token<'_>, ty: TType, in_field: bool) -> Result<(), Stop> {
        // A token that is looked at again because it was cut is paid for again: only messages are cut.
        self.values = self
            .values
            .checked_sub(1)
            .ok_or_else(error::too_many_values)?;
        if let Some(width) = self.width(ty, in_field) {
            self.owed = width;
            return Ok(());
        }
        match ty {
            TType::I16 | TType::I32 => token.varint(5),
            TType::I64 => token.varint(10),
            TType::String => {
                self.owed = match self.protocol {
                    Protocol::Compact => token.count()?,
                    _ => size(token.i32()?)?,
                };
                Ok(())
            }
            TType::Struct => self.push(Open::Fields),
            TType::List | TType::Set => self.list(token),
            TType::Map => self.map(token),
            other => Err(invalid(format!("a value can't be of type {other}")).into()),
        }
    }

    /// How many bytes every value of `ty` takes, if they all take the same.
    #[inline]
    fn width(&self, ty: TType, in_field: bool) -> Option<usize> {
        let compact = self.protocol == Protocol::Compact;
        match ty {
            TType::Bool if compact && in_field => Some(0),
            TType::Bool | TType::I08 => Some(1),
            TType::Double => Some(8),
            TType::Uuid => Some(16),
            TType::I16 | TType::I32 | TType::I64 if !compact => Some(binary::bytes_min(ty)),
            _ => None,
        }
    }

    fn list(&mut self, token: &mut Token<'_>) -> Result<(), Stop> {
        let byte = token.byte()?;
        let (ty, count) = if self.protocol == Protocol::Compact {
            let count = match byte >> 4 {
                15 => token.count()?,
                few => usize::from(few),
            };
            (compact::element_type(byte & 0x0f, count)?, count)
        } else {
            let count = size(token.i32()?)?;
            (binary::element_type(byte, count)?, count)
        };
        self.elements(token, (ty, ty), count, 1)
    }

    fn map(&mut self, token: &mut Token<'_>) -> Result<(), Stop> {
        let (key, value, count) = if self.protocol == Protocol::Compact {
            let count = token.count()?;
            let types = if count == 0 { 0 } else { token.byte()? };
            let key = compact::element_type(types >> 4, count)?;
            (key, compact::element_type(types & 0x0f, count)?, count)
        } else {
            let [key, value] = token.array()?;
            let count = size(token.i32()?)?;
            (
                binary::element_type(key, count)?,
                binary::element_type(value, count)?,
                count,
            )
        };
        self.elements(token, (key, value), count, 2)
    }

    /// `count` times `each` elements are next: at once where their width is known.
    fn elements(
        &mut self,
        token: &Token<'_>,
        (key, value): (TType, TType),
        count: usize,
        each: usize,
    ) -> Result<(), Stop> {
        let bytes_min = match self.protocol {
            Protocol::Compact => compact::bytes_min,
            _ => binary::bytes_min,
        };
        let smallest = if each == 1 {
            bytes_min(key)
        } else {
            bytes_min(key) + bytes_min(value)
        };
        let left = self.bytes_max.saturating_sub(token.at);
        let bytes = count.checked_mul(smallest).filter(|bytes| *bytes <= left);
        let Some(bytes) = bytes else {
            return Err(self.past_the_end(count.saturating_mul(smallest)).into());
        };
        if self.open.len() >= self.depth_max {
            return Err(too_deep().into());
        }
        if count == 0 || (self.width(key, false).is_some() && self.width(value, false).is_some()) {
            self.owed = bytes;
            return Ok(());
        }
        self.push(Open::Elements {
            key,
            value,
            left: count as u64 * each as u64,
        })
    }

    fn push(&mut self, open: Open) -> Result<(), Stop> {
        if self.open.len() >= self.depth_max {
            return Err(too_deep().into());
        }
        self.open.push(open);
        Ok(())
    }

    /// More bytes must come than a message may have, or than there are.
    #[cold]
    fn past_the_end(&self, declared: usize) -> WireError {
        match self.past {
            Code::WireFrameTooLarge => error::too_large(self.bytes_max),
            _ => error::overlong(declared, self.bytes_max.saturating_sub(self.at)),
        }
    }
}
