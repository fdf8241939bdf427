//! Turns a compiled lookup into a command with arguments.
//!
//! `mget` gets one key per element of its only list parameter; all other commands have scalar parameters.

use super::answer::{ReplyKind, ReplyShape};
use super::resp::{end_argument, put_argument, put_head, put_open_argument, put_written};
use crate::backend::template::{Template, Verbatim};
use crate::backend::{LookupError, Yields};
use crate::error::Code;
use crate::value::Value;

/// The most keys of one `mget`: a longer list is `lookup.too_many`.
const MGET_KEYS_MAX: usize = 10_000;

/// A compiled lookup: a command with its templates.
#[derive(Debug)]
pub struct Command {
    pub(super) wire: &'static str,
    pub(super) key: Template,
    pub(super) extra: Extra,
    pub(super) reply: ReplyShape,
    /// The constant beginning on the wire, such as `*2 $3 GET $00 user:`: up to the first parameter in the key, whose length is
    /// filled in later. Empty if the number of arguments varies.
    pub(super) opening: Box<[u8]>,
    /// How many bytes of `opening` belong to the key.
    pub(super) opening_key: usize,
}

/// The arguments after the key.
#[derive(Debug)]
pub(super) enum Extra {
    Nothing,
    /// The key is repeated for each element of a list parameter.
    Keys,
    /// A field or member.
    One(Template),
    Fields,
    Range {
        start: i64,
        stop: i64,
        with_scores: bool,
    },
}

impl Command {
    /// The type of its answers.
    pub(super) fn yields(&self) -> Yields {
        match self.reply.kind {
            ReplyKind::One => self.reply.format.yields(),
            ReplyKind::Many | ReplyKind::Scored => Yields::List,
            ReplyKind::Fields | ReplyKind::Hash => Yields::Record,
            ReplyKind::Flag => Yields::Bool,
            ReplyKind::Count | ReplyKind::Ttl => Yields::Integer,
            ReplyKind::Score => Yields::Double,
        }
    }

    /// Whether all its arguments are keys, and not just the first.
    pub(super) fn has_keys(&self) -> bool {
        matches!(self.extra, Extra::Keys)
    }

    /// Appends the command with its arguments to `out`; false when there is nothing to ask (an `mget` of no keys).
    /// After an error `out` may hold a part of it.
    pub(super) fn pack(&self, params: &[Value], out: &mut Vec<u8>) -> Result<bool, LookupError> {
        if let Extra::Keys = self.extra {
            return self.pack_keys(params, out);
        }
        out.extend_from_slice(&self.opening);
        let key = out.len() - self.opening_key;
        self.key.render_rest(params, &Verbatim, out)?;
        end_argument(out, key);
        match &self.extra {
            Extra::Nothing | Extra::Keys => {}
            Extra::One(template) => {
                put_written(out, |out| template.render(params, &Verbatim, out))?;
            }
            Extra::Fields => {
                for name in self.reply.names.iter().flat_map(|names| names.iter()) {
                    put_argument(out, name.as_bytes());
                }
            }
            Extra::Range {
                start,
                stop,
                with_scores,
            } => {
                put_argument(out, start.to_string().as_bytes());
                put_argument(out, stop.to_string().as_bytes());
                if *with_scores {
                    put_argument(out, b"WITHSCORES");
                }
            }
        }
        Ok(true)
    }

    /// Computes the constant beginning, once everything else is set.
    pub(super) fn open(&mut self) {
        if self.has_keys() {
            return;
        }
        let mut opening = Vec::new();
        put_head(&mut opening, 2 + self.extra_arguments());
        put_argument(&mut opening, self.wire.as_bytes());
        put_open_argument(&mut opening);
        let first = self.key.first_text();
        opening.extend_from_slice(first.as_bytes());
        self.opening = opening.into();
        self.opening_key = first.len();
    }

    /// How many parameters it has.
    pub(super) fn params(&self) -> usize {
        let of_extra = match &self.extra {
            Extra::One(template) => template.positions().max(),
            _ => None,
        };
        let last = self.key.positions().max().max(of_extra);
        last.map_or(0, |last| last + 1)
    }

    /// How many arguments go after the key.
    fn extra_arguments(&self) -> usize {
        match &self.extra {
            Extra::Nothing | Extra::Keys => 0,
            Extra::One(_) => 1,
            Extra::Fields => self.reply.names.as_ref().map_or(0, |names| names.len()),
            Extra::Range { with_scores, .. } => 2 + usize::from(*with_scores),
        }
    }

    /// One key per element of the list parameter; false if it has none.
    fn pack_keys(&self, params: &[Value], out: &mut Vec<u8>) -> Result<bool, LookupError> {
        let is_list = |at: &usize| matches!(params.get(*at), Some(Value::List(_)));
        let mut lists: Vec<usize> = self.key.positions().filter(is_list).collect();
        lists.dedup();
        let [list_at] = lists[..] else {
            let why = format!(
                "`mget` needs one list among its parameters, found {}",
                lists.len()
            );
            return Err(LookupError::new(Code::LookupBadParam, why));
        };
        let Some(Value::List(items)) = params.get(list_at) else {
            return Ok(false);
        };
        if items.len() > MGET_KEYS_MAX {
            let why = format!(
                "{} keys in one `mget`; the limit is {MGET_KEYS_MAX}",
                items.len()
            );
            return Err(LookupError::new(Code::LookupTooMany, why));
        }
        put_head(out, 1 + items.len());
        put_argument(out, self.wire.as_bytes());
        for item in items {
            let value_of = |at| {
                if at == list_at {
                    Some(item)
                } else {
                    params.get(at)
                }
            };
            put_written(out, |out| self.key.render_with(value_of, &Verbatim, out))?;
        }
        Ok(!items.is_empty())
    }
}
