//! Turns replies into values.
//!
//! Strings keep their bytes. A reply of a type that the command never returns, or whose bytes are not in the lookup's
//! format, is `lookup.bad_answer`. Both versions of the protocol are understood: the URL may say `?protocol=resp3`.

use std::sync::Arc;

use bytes::Bytes;

use super::resp::{Reply, refused};
use crate::backend::format::{Format, bad_answer, text};
use crate::backend::memory::NoRoom;
use crate::backend::{Answer, LookupError};
use crate::offload::LARGE_VALUES;
use crate::value::{FieldNames, Record, Value, parse_double};

/// The shape of a command's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyKind {
    /// One string; nil is nothing.
    One,
    /// Strings in order; nil among them is null. A missing key is an empty list.
    Many,
    /// Members with their scores: a list of `{member, score}`.
    Scored,
    /// The asked fields; all nil (as for a missing key) is nothing.
    Fields,
    /// All fields; no fields (as for a missing key) is nothing.
    Hash,
    /// 0 or 1.
    Flag,
    /// A number; 0 for a missing key.
    Count,
    /// A double; nil is nothing.
    Score,
    /// Seconds left; -1 when it never expires, nothing for a missing key.
    Ttl,
}

impl ReplyKind {
    /// Whether it carries stored strings, which have a format.
    pub(super) fn has_format(self) -> bool {
        matches!(
            self,
            ReplyKind::One
                | ReplyKind::Many
                | ReplyKind::Scored
                | ReplyKind::Fields
                | ReplyKind::Hash
        )
    }
}

/// What a command's reply looks like.
#[derive(Clone, Debug)]
pub(super) struct ReplyShape {
    pub(super) kind: ReplyKind,
    pub(super) format: Format,
    /// The names of the fields, if the answer is a record or a list of records.
    pub(super) names: Option<FieldNames>,
}

impl ReplyShape {
    /// The answer in a reply, which is decoded later if that takes long.
    #[inline]
    pub(super) fn answer(&self, reply: Reply) -> Result<Answer, LookupError> {
        match (self.kind, reply) {
            // Most are single strings.
            (ReplyKind::One, Reply::String(bytes)) => self.format.answer(bytes),
            (_, reply) => self.other(reply),
        }
    }

    fn other(&self, reply: Reply) -> Result<Answer, LookupError> {
        match reply {
            Reply::Held(held) => {
                let memory = held.1.clone();
                let answer = if self.is_large(&held.0) {
                    let shape = self.clone();
                    // Other lookups may have the same reply.
                    Answer::undecoded(move || shape.value(Arc::unwrap_or_clone(held).0))
                } else {
                    self.answer(Arc::unwrap_or_clone(held).0)?
                };
                Ok(answer.holding(memory))
            }
            Reply::Refused => Err(NoRoom.into()),
            reply if self.is_large(&reply) => Ok(self.later(reply)),
            reply => Ok(Answer::new(self.value(reply)?)),
        }
    }

    fn is_large(&self, reply: &Reply) -> bool {
        let items = match reply {
            Reply::Array(items) => items.len(),
            Reply::Map(pairs) => 2 * pairs.len(),
            _ => 0,
        };
        items > LARGE_VALUES || self.is_slow(reply)
    }

    fn later(&self, reply: Reply) -> Answer {
        let shape = self.clone();
        Answer::undecoded(move || shape.value(reply))
    }

    /// Whether its strings take long together.
    fn is_slow(&self, reply: &Reply) -> bool {
        let bytes = |item: &Reply| match item {
            Reply::String(bytes) => bytes.len(),
            _ => 0,
        };
        self.format == Format::Json
            && self.format.is_slow(match reply {
                Reply::String(bytes) => bytes.len(),
                Reply::Array(items) => items.iter().map(bytes).sum(),
                Reply::Map(pairs) => pairs.iter().map(|(_, item)| bytes(item)).sum(),
                _ => 0,
            })
    }

    /// The reply as a value.
    pub(super) fn value(&self, reply: Reply) -> Result<Value, LookupError> {
        if let Reply::Error(words) = &reply {
            return Err(refused(words));
        }
        match self.kind {
            ReplyKind::One => self.stored(reply),
            ReplyKind::Many => {
                let items = items(reply)?.into_iter();
                items
                    .map(|item| self.stored(item))
                    .collect::<Result<_, _>>()
                    .map(Value::List)
            }
            ReplyKind::Scored => self.scored(reply),
            ReplyKind::Fields => self.fields(reply),
            ReplyKind::Hash => self.hash(reply),
            ReplyKind::Flag => match reply {
                Reply::Int(bit @ (0 | 1)) => Ok(Value::Bool(bit == 1)),
                Reply::Bool(bit) => Ok(Value::Bool(bit)),
                other => Err(unexpected(&other)),
            },
            ReplyKind::Count => integer(&reply).map(Value::I64),
            ReplyKind::Ttl => Ok(match integer(&reply)? {
                -2 => Value::Null,
                seconds => Value::I64(seconds),
            }),
            ReplyKind::Score => match reply {
                Reply::Nil => Ok(Value::Null),
                reply => score(reply).map(Value::Double),
            },
        }
    }

    /// A stored string in the lookup's format.
    fn stored(&self, reply: Reply) -> Result<Value, LookupError> {
        match reply {
            Reply::Nil => Ok(Value::Null),
            reply => self.format.decode(string(reply)?),
        }
    }

    fn fields(&self, reply: Reply) -> Result<Value, LookupError> {
        let names = self
            .names
            .clone()
            .ok_or_else(|| bad_answer("fields without names"))?;
        let items = items(reply)?;
        if items.len() != names.len() {
            return Err(bad_answer(format!(
                "asked {} fields, got {}",
                names.len(),
                items.len()
            )));
        }
        if items.iter().all(|item| matches!(item, Reply::Nil)) {
            return Ok(Value::Null);
        }
        let values = items
            .into_iter()
            .map(|item| self.stored(item))
            .collect::<Result<_, _>>()?;
        Ok(Value::Record(Record { names, values }))
    }

    fn hash(&self, reply: Reply) -> Result<Value, LookupError> {
        let pairs = pairs(reply)?;
        if pairs.is_empty() {
            return Ok(Value::Null);
        }
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| Ok((Value::Text(text(string(name)?)?), self.stored(value)?)));
        pairs.collect::<Result<_, LookupError>>().map(Value::Map)
    }

    fn scored(&self, reply: Reply) -> Result<Value, LookupError> {
        let names = self
            .names
            .clone()
            .ok_or_else(|| bad_answer("scores without names"))?;
        let records = pairs(reply)?.into_iter().map(|(member, number)| {
            let values = vec![self.stored(member)?, Value::Double(score(number)?)];
            Ok(Value::Record(Record {
                names: names.clone(),
                values,
            }))
        });
        records.collect::<Result<_, LookupError>>().map(Value::List)
    }
}

/// The bytes of a string reply, without copying them.
fn string(reply: Reply) -> Result<Bytes, LookupError> {
    match reply {
        Reply::String(bytes) => Ok(bytes),
        other => Err(unexpected(&other)),
    }
}

fn items(reply: Reply) -> Result<Vec<Reply>, LookupError> {
    match reply {
        Reply::Array(items) => Ok(items),
        other => Err(unexpected(&other)),
    }
}

/// Pairs as a map (RESP3), as an array of pairs (RESP3's scores) or as one flat array (RESP2).
fn pairs(reply: Reply) -> Result<Vec<(Reply, Reply)>, LookupError> {
    let items = match reply {
        Reply::Map(pairs) => return Ok(pairs),
        other => items(other)?,
    };
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let Some(first) = items.next() {
        let pair = match first {
            Reply::Array(pair) => <[Reply; 2]>::try_from(pair).ok(),
            first => items.next().map(|second| [first, second]),
        };
        let [first, second] = pair.ok_or_else(|| bad_answer("a reply of pairs with an odd end"))?;
        pairs.push((first, second));
    }
    Ok(pairs)
}

fn integer(reply: &Reply) -> Result<i64, LookupError> {
    match reply {
        Reply::Int(number) => Ok(*number),
        other => Err(unexpected(other)),
    }
}

fn score(reply: Reply) -> Result<f64, LookupError> {
    if let Reply::Double(number) = reply {
        return Ok(number);
    }
    let bytes = string(reply)?;
    let number = std::str::from_utf8(&bytes).ok().and_then(parse_double);
    number.ok_or_else(|| bad_answer("a score that is not a number"))
}

fn unexpected(reply: &Reply) -> LookupError {
    let kind = match reply {
        Reply::Nil => "nil",
        Reply::Int(_) => "an integer",
        Reply::String(_) => "a string",
        Reply::Array(_) => "an array",
        Reply::Map(_) => "a map",
        _ => "something else",
    };
    bad_answer(format!("the command does not answer with {kind}"))
}
