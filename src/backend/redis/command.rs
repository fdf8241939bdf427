//! Turns a compiled lookup into a command with arguments.
//!
//! `mget` gets one key per element of its only list parameter; all other commands have scalar parameters.

use super::answer::{ReplyKind, ReplyShape};
use super::opening::Opening;
use super::resp::{end_argument, put_argument, put_head, put_written};
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
    /// The constant beginning on the wire, up to the first parameter in the key; nothing if the number of arguments varies.
    pub(super) opening: Opening,
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

    /// Whether its answer changes with time alone.
    pub(super) fn is_about_time(&self) -> bool {
        matches!(self.reply.kind, ReplyKind::Ttl)
    }

    /// Calls `each` with every key that it reads; `None` if they can't be written.
    pub(super) fn each_key(&self, params: &[Value], mut each: impl FnMut(&[u8])) -> Option<()> {
        let mut key = Vec::new();
        if !self.has_keys() {
            self.key.render(params, &Verbatim, &mut key).ok()?;
            each(&key);
            return Some(());
        }
        let (list_at, items) = self.lists(params).next()?;
        for item in items {
            key.clear();
            self.put_key(params, (list_at, item), &mut key).ok()?;
            each(&key);
        }
        Some(())
    }

    /// Appends the command with its arguments to `out`; false when there is nothing to ask (an `mget` of no keys).
    /// After an error `out` may hold a part of it.
    pub(super) fn pack(&self, params: &[Value], out: &mut Vec<u8>) -> Result<bool, LookupError> {
        if let Extra::Keys = self.extra {
            return self.pack_keys(params, out);
        }
        if !self.opening.put_with_key(params, out) {
            let key = self.opening.put(out);
            self.key.render_rest(params, &Verbatim, out)?;
            end_argument(out, key);
        }
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
        self.opening = Opening::new(2 + self.extra_arguments(), self.wire, &self.key);
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
        let mut lists: Vec<_> = self.lists(params).collect();
        lists.dedup_by_key(|(at, _)| *at);
        let [(list_at, items)] = lists[..] else {
            let why = format!(
                "`mget` needs one list among its parameters, found {}",
                lists.len()
            );
            return Err(LookupError::new(Code::LookupBadParam, why));
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
            put_written(out, |out| self.put_key(params, (list_at, item), out))?;
        }
        Ok(!items.is_empty())
    }

    /// The parameters in the key that are lists, one per mention.
    fn lists<'p>(&self, params: &'p [Value]) -> impl Iterator<Item = (usize, &'p [Value])> {
        self.key.positions().filter_map(|at| match params.get(at) {
            Some(Value::List(items)) => Some((at, &items[..])),
            _ => None,
        })
    }

    /// Appends the key with one element of the list parameter in its place.
    fn put_key(
        &self,
        params: &[Value],
        (list_at, item): (usize, &Value),
        out: &mut Vec<u8>,
    ) -> Result<(), LookupError> {
        let value_of = |at| {
            if at == list_at {
                Some(item)
            } else {
                params.get(at)
            }
        };
        self.key.render_with(value_of, &Verbatim, out)
    }
}
