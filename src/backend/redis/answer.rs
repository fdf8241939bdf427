//! Turns replies into values.
//!
//! Strings keep their bytes. A reply of a type that the command never returns, or whose bytes are not in the lookup's
//! format, is `lookup.bad_answer`. Both versions of the protocol are understood: the URL may say `?protocol=resp3`.

use super::command::{Command, ReplyKind};
use super::resp::{Reply, refused};
use crate::backend::LookupError;
use crate::backend::format::{bad_answer, text};
use crate::value::{Record, Value, parse_double};
use bytes::Bytes;

impl Command {
    /// The reply as a value.
    pub(super) fn answer(&self, reply: Reply) -> Result<Value, LookupError> {
        if let Reply::Error(words) = &reply {
            return Err(refused(words));
        }
        match self.reply_kind {
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
