//! An `MGET` whose slot is on its way to another node, asked key by key.
//!
//! While a slot moves, its keys stand on both nodes, and neither answers several at once unless it has all of them
//! (`TRYAGAIN`). Each key alone is answered: where it still is, or, redirected, where it is already.

use std::ops::Range;

use super::{Part, keys, mget};
use crate::backend::{LookupError, format::bad_answer, redis::resp::Reply};

/// Commands of one key each, instead of those that no node could answer.
pub(in crate::backend::redis::cluster) struct ByKey {
    singles: Vec<Part>,
    /// Which command they stand for, and which of them do.
    of: Vec<(usize, Range<usize>)>,
}

impl ByKey {
    /// Takes apart what no node could answer; `None` if there is no such command.
    pub(in crate::backend::redis::cluster) fn of(
        parts: &[Part],
        replies: &[Result<Reply, LookupError>],
    ) -> Option<Self> {
        let mut by_key = ByKey {
            singles: Vec::new(),
            of: Vec::new(),
        };
        for (at, (part, reply)) in parts.iter().zip(replies).enumerate() {
            if !matches!(reply, Ok(reply) if is_torn(reply)) {
                continue;
            }
            let start = by_key.singles.len();
            // Of commands that are read only those of several keys are refused so, and they are `MGET`.
            let singles = keys(&part.command, true).map(|key| Part {
                command: mget(&[key]),
                slot: part.slot,
                users: 1,
            });
            by_key.singles.extend(singles);
            by_key.of.push((at, start..by_key.singles.len()));
        }
        (!by_key.of.is_empty()).then_some(by_key)
    }

    /// The commands to send.
    pub(in crate::backend::redis::cluster) fn parts(&self) -> &[Part] {
        &self.singles
    }

    /// Puts the replies together in place of those that were none.
    pub(in crate::backend::redis::cluster) fn join(
        self,
        mut singles: Vec<Result<Reply, LookupError>>,
        replies: &mut [Result<Reply, LookupError>],
    ) {
        for (at, keys) in self.of {
            replies[at] = join(&mut singles[keys]);
        }
    }
}

/// Whether a node says that it has some of the keys and not all.
pub(in crate::backend::redis::cluster) fn is_torn(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(words) if words.starts_with("TRYAGAIN"))
}

/// One array of all values; the first failure if one of them failed.
fn join(singles: &mut [Result<Reply, LookupError>]) -> Result<Reply, LookupError> {
    let mut values = Vec::with_capacity(singles.len());
    for single in singles {
        match std::mem::replace(single, Ok(Reply::Nil)) {
            Ok(Reply::Array(mut one)) if one.len() == 1 => values.append(&mut one),
            Ok(Reply::Error(words)) => return Ok(Reply::Error(words)),
            Ok(_) => return Err(bad_answer("`MGET` of one key is not one value")),
            Err(err) => return Err(err),
        }
    }
    Ok(Reply::Array(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn part(keys: &[&[u8]]) -> Part {
        Part {
            command: mget(keys),
            slot: 7,
            users: 1,
        }
    }

    fn text(text: &'static str) -> Reply {
        Reply::String(text.into())
    }

    #[test]
    fn only_what_is_torn_is_asked_by_key() {
        let parts = [part(&[b"a", b"b"]), part(&[b"c"]), part(&[b"d", b"d"])];
        let whole = || Ok(Reply::Array(vec![text("C")]));
        assert!(ByKey::of(&parts, &[whole(), whole(), whole()]).is_none());
        let torn = || Ok(Reply::Error("TRYAGAIN Multiple keys request".into()));
        let mut replies = [torn(), whole(), torn()];
        let by_key = ByKey::of(&parts, &replies).expect("two");
        let commands = by_key.parts().iter().map(|part| &*part.command);
        let want: [&[u8]; 4] = [b"a", b"b", b"d", b"d"];
        assert!(commands.eq(want.map(|key| mget(&[key])).iter().map(|it| &**it)));
        assert!(by_key.parts().iter().all(|part| part.slot == 7));
        let one = |value| Ok(Reply::Array(vec![value]));
        let away = Err(LookupError::new(Code::LookupUnavailable, "away"));
        by_key.join(
            vec![one(text("A")), one(Reply::Nil), one(text("D")), away],
            &mut replies,
        );
        let [first, second, third] = replies;
        assert_eq!(
            first.expect("an array"),
            Reply::Array(vec![text("A"), Reply::Nil])
        );
        assert_eq!(second.expect("as it was"), Reply::Array(vec![text("C")]));
        assert_eq!(
            third.expect_err("one is away").code,
            Code::LookupUnavailable
        );
    }
}
