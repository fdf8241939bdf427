//! Skips unneeded values, and finds the end of an unframed message as its bytes arrive.
//!
//! In: the bytes of one message from its start, more of them at each call. Out: the message's length, once its
//! end has arrived. Open structs and containers are kept on an explicit stack of small entries, so deep nesting
//! costs no recursion. Skipped bytes are never read again. A token (a head, a length, a number) is skipped whole
//! or not at all; the contents of strings are not read.

mod rules;
mod token;

use thrift::protocol::TType;

use super::budget::{Budget, DEPTH_CEILING};
use super::error::{self, WireError, invalid, too_deep, truncated};
use super::head::{NAME_BYTES_MAX, name_too_long};
use crate::error::Code;

pub(crate) use rules::SkipRules;
pub(crate) use token::{Stop, Token};

/// How far one message or value has been skipped.
#[derive(Debug)]
pub(crate) struct Skipper {
    /// Bytes skipped so far.
    at: usize,
    /// How many of the next bytes are skipped without being read.
    owed: usize,
    /// What is open, outermost first.
    open: Vec<Open>,
    depth_max: usize,
    /// Nothing may go past this: the largest message, or the end of the message around a value.
    bytes_max: usize,
    /// The error if something does.
    past: Code,
    /// How many more values may be skipped.
    values: usize,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    /// The head of a message is next.
    Head,
    /// A field or the end of a struct is next.
    Fields,
    /// `left` elements are next. A map counts keys and values: if `left` is odd, a value is next.
    Elements { key: TType, value: TType, left: u64 },
}

/// Skips one value that `bytes` holds completely; returns its length. A bool is taken for an element's.
pub(crate) fn value<R: SkipRules>(
    ty: TType,
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<usize, WireError> {
    let mut skipper = Skipper {
        at: 0,
        owed: 0,
        open: Vec::new(),
        depth_max: budget.depth,
        bytes_max: bytes.len(),
        past: Code::WireTruncated,
        values: budget.values,
    };
    let mut token = Token { bytes, at: 0 };
    match skipper.value::<R>(&mut token, ty, false) {
        Ok(()) => skipper.at = token.at,
        Err(Stop::More) => return Err(truncated()),
        Err(Stop::Wrong(err)) => return Err(err),
    }
    let end = skipper.run::<R>(bytes)?;
    budget.values = skipper.values;
    end.ok_or_else(truncated)
}

impl Skipper {
    /// At the start of a message.
    pub(crate) fn message(bytes_max: usize, depth_max: usize) -> Self {
        let mut skipper = Skipper {
            at: 0,
            owed: 0,
            open: Vec::new(),
            depth_max: depth_max.min(DEPTH_CEILING),
            bytes_max,
            past: Code::WireFrameTooLarge,
            // The limit on bytes bounds the values of a stream.
            values: usize::MAX,
        };
        skipper.restart();
        skipper
    }

    /// Bytes skipped so far.
    #[cfg(any(test, fuzzing))]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to the start, for the next message.
    pub(crate) fn restart(&mut self) {
        self.at = 0;
        self.owed = 0;
        self.values = usize::MAX;
        self.open.clear();
        self.open.extend([Open::Fields, Open::Head]);
    }

    /// Continues in `bytes`, which start where the message starts. Returns the message's length once its end
    /// has arrived.
    pub(crate) fn run<R: SkipRules>(&mut self, bytes: &[u8]) -> Result<Option<usize>, WireError> {
        // Bytes past the limit are ignored, so the outcome does not depend on how much has arrived already.
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
            match self.step::<R>(open, &mut token) {
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

    /// Skips one token. Everything but `token` changes only after the last byte of the token was read.
    #[inline]
    fn step<R: SkipRules>(&mut self, open: Open, token: &mut Token<'_>) -> Result<(), Stop> {
        match open {
            Open::Head => self.head::<R>(token),
            Open::Fields => match R::field(token)? {
                Some(ty) => self.value::<R>(token, ty, true),
                None => {
                    self.open.pop();
                    Ok(())
                }
            },
            Open::Elements { left: 0, .. } => {
                self.open.pop();
                Ok(())
            }
            Open::Elements { key, value, left } => {
                let depth = self.open.len() - 1;
                self.value::<R>(token, if left % 2 == 0 { key } else { value }, false)?;
                self.open[depth] = Open::Elements {
                    key,
                    value,
                    left: left - 1,
                };
                Ok(())
            }
        }
    }

    fn head<R: SkipRules>(&mut self, token: &mut Token<'_>) -> Result<(), Stop> {
        let (name, rest) = R::head(token)?;
        if name > NAME_BYTES_MAX {
            return Err(name_too_long(name).into());
        }
        self.owed = name + rest;
        self.open.pop();
        Ok(())
    }

    #[inline]
    fn value<R: SkipRules>(
        &mut self,
        token: &mut Token<'_>,
        ty: TType,
        in_field: bool,
    ) -> Result<(), Stop> {
        // A token that was cut off is paid for again when it is read again. That happens in streams only, where
        // values cost nothing.
        self.values = self
            .values
            .checked_sub(1)
            .ok_or_else(error::too_many_values)?;
        if let Some(width) = R::width(ty, in_field) {
            self.owed = width;
            return Ok(());
        }
        match ty {
            // Numbers that have no fixed width are varints.
            TType::I16 | TType::I32 => token.varint(5),
            TType::I64 => token.varint(10),
            TType::String => {
                self.owed = R::length(token)?;
                Ok(())
            }
            TType::Struct => self.push(Open::Fields),
            TType::List | TType::Set => {
                let (ty, count) = R::list(token)?;
                self.elements::<R>(token, (ty, ty), count, 1)
            }
            TType::Map => {
                let (key, value, count) = R::map(token)?;
                self.elements::<R>(token, (key, value), count, 2)
            }
            other => Err(invalid(format!("a value cannot be of type {other}")).into()),
        }
    }

    /// `count` times `each` elements are next. If their width is known, they are skipped together.
    fn elements<R: SkipRules>(
        &mut self,
        token: &Token<'_>,
        (key, value): (TType, TType),
        count: usize,
        each: usize,
    ) -> Result<(), Stop> {
        let smallest = if each == 1 {
            R::bytes_min(key)
        } else {
            R::bytes_min(key) + R::bytes_min(value)
        };
        let left = self.bytes_max.saturating_sub(token.at);
        let bytes = count.checked_mul(smallest).filter(|bytes| *bytes <= left);
        let Some(bytes) = bytes else {
            return Err(self.past_the_end(count.saturating_mul(smallest)).into());
        };
        if self.open.len() >= self.depth_max {
            return Err(too_deep().into());
        }
        let fixed = |ty| R::width(ty, false).is_some();
        if count == 0 || (fixed(key) && fixed(value)) {
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

    /// More bytes are needed than a message may have, or than have arrived.
    #[cold]
    fn past_the_end(&self, declared: usize) -> WireError {
        match self.past {
            Code::WireFrameTooLarge => error::too_large(self.bytes_max),
            _ => error::overlong(declared, self.bytes_max.saturating_sub(self.at)),
        }
    }
}
