//! A compiled lookup, and how it becomes a command with arguments.
//!
//! `mget` makes one key per element of its one list parameter; all others put scalars in their places.

use redis::Cmd;

use super::answer::Gives;
use crate::backend::format::Format;
use crate::backend::template::{AsIs, Template};
use crate::backend::{LookupError, Yields};
use crate::error::Code;
use crate::value::{Names, Value};

/// Keys of one `mget`: a list longer than this is `lookup.too_many`.
const MGET_KEYS_MAX: usize = 10_000;

/// A compiled lookup: a command with its templates.
#[derive(Debug)]
pub struct Command {
    pub(super) wire: &'static str,
    pub(super) key: Template,
    pub(super) extra: Extra,
    pub(super) gives: Gives,
    pub(super) format: Format,
    /// The names of what the answer gives, where it gives a record or records.
    pub(super) names: Option<Names>,
}

/// What goes after the key.
#[derive(Debug)]
pub(super) enum Extra {
    Nothing,
    /// The key stands once per element of a list parameter.
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
    /// What its answers look like.
    pub(super) fn yields(&self) -> Yields {
        match self.gives {
            Gives::One => self.format.yields(),
            Gives::Many | Gives::Scored => Yields::List,
            Gives::Fields | Gives::Hash => Yields::Record,
            Gives::Flag => Yields::Bool,
            Gives::Count | Gives::Ttl => Yields::Integer,
            Gives::Score => Yields::Double,
        }
    }

    /// The command with its arguments; `None` when there is nothing to ask (an `mget` of no keys).
    pub(super) fn pack(
        &self,
        params: &[Value],
        scratch: &mut Vec<u8>,
    ) -> Result<Option<Cmd>, LookupError> {
        let mut packed = redis::cmd(self.wire);
        if let Extra::Keys = self.extra {
            let any = self.pack_keys(&mut packed, params, scratch)?;
            return Ok(any.then_some(packed));
        }
        argument(&mut packed, &self.key, params, scratch)?;
        match &self.extra {
            Extra::Nothing | Extra::Keys => {}
            Extra::One(template) => argument(&mut packed, template, params, scratch)?,
            Extra::Fields => {
                for name in self.names.iter().flat_map(|names| names.iter()) {
                    packed.arg(name.as_bytes());
                }
            }
            Extra::Range {
                start,
                stop,
                with_scores,
            } => {
                packed.arg(start).arg(stop);
                if *with_scores {
                    packed.arg("WITHSCORES");
                }
            }
        }
        Ok(Some(packed))
    }

    /// One key per element of the list parameter; false if it has none.
    fn pack_keys(
        &self,
        packed: &mut Cmd,
        params: &[Value],
        scratch: &mut Vec<u8>,
    ) -> Result<bool, LookupError> {
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
        for item in items {
            scratch.clear();
            let value_of = |at| {
                if at == list_at {
                    Some(item)
                } else {
                    params.get(at)
                }
            };
            self.key.render_with(value_of, &AsIs, scratch)?;
            packed.arg(&scratch[..]);
        }
        Ok(!items.is_empty())
    }
}

/// Renders `template` and adds it as one argument.
fn argument(
    packed: &mut Cmd,
    template: &Template,
    params: &[Value],
    scratch: &mut Vec<u8>,
) -> Result<(), LookupError> {
    scratch.clear();
    template.render(params, &AsIs, scratch)?;
    packed.arg(&scratch[..]);
    Ok(())
}
