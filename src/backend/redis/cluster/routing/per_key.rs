//! Asks an `MGET` key by key while its slot is being moved to another node.
//!
//! While a slot moves, its keys are on two nodes, and neither answers a command for several keys unless it has all of them
//! (`TRYAGAIN`). A single key is answered by the node that still has it or, after a redirection, by the one that already
//! has it.

use std::ops::Range;

use super::slot_command::{SlotCommand, keys, mget};
use crate::backend::format::bad_answer;
use crate::backend::redis::resp::Reply;
use crate::backend::{Held, LookupError};

/// Commands of one key each, instead of those that no node could answer.
pub(in crate::backend::redis::cluster) struct PerKey {
    singles: Vec<SlotCommand>,
    /// The place of each command that was split, and the range of its parts in `singles`.
    of: Vec<(usize, Range<usize>)>,
}

impl PerKey {
    /// Splits the commands at these positions, which no node could answer.
    pub(in crate::backend::redis::cluster) fn of(commands: &[SlotCommand], at: &[usize]) -> Self {
        let mut per_key = PerKey {
            singles: Vec::new(),
            of: Vec::new(),
        };
        for &at in at {
            let command = &commands[at];
            let start = per_key.singles.len();
            // Only commands of several keys are refused like this, and the only one that is ever sent is `MGET`.
            let singles = keys(&command.packed, true).map(|key| SlotCommand {
                packed: mget(&[key]),
                slot: command.slot,
            });
            per_key.singles.extend(singles);
            per_key.of.push((at, start..per_key.singles.len()));
        }
        per_key
    }

    /// The commands to send.
    pub(in crate::backend::redis::cluster) fn commands(&self) -> &[SlotCommand] {
        &self.singles
    }

    /// Settles the commands that were split, with the joined replies to their parts.
    pub(in crate::backend::redis::cluster) fn join(
        self,
        mut singles: Vec<Result<Reply, LookupError>>,
        mut settle: impl FnMut(usize, Result<Reply, LookupError>),
    ) {
        for (at, keys) in self.of {
            settle(at, join(&mut singles[keys]));
        }
    }
}

/// Whether a node says that it has some of the keys and not all of them.
pub(in crate::backend::redis::cluster) fn is_split(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(words) if words.starts_with("TRYAGAIN"))
}

/// One array of all values; the first failure if one of them failed.
fn join(singles: &mut [Result<Reply, LookupError>]) -> Result<Reply, LookupError> {
    let mut values = Vec::with_capacity(singles.len());
    let mut held = Vec::new();
    for single in singles {
        let single = std::mem::replace(single, Ok(Reply::Nil));
        match single.map(|reply| reply.unheld(&mut held)) {
            Ok(Reply::Array(mut one)) if one.len() == 1 => values.append(&mut one),
            Ok(reply @ (Reply::Error(_) | Reply::Refused)) => return Ok(reply),
            Ok(_) => return Err(bad_answer("`MGET` of one key is not one value")),
            Err(err) => return Err(err),
        }
    }
    Ok(Reply::Array(values).holding(Held::several(held.into_iter())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn command(keys: &[&[u8]]) -> SlotCommand {
        SlotCommand {
            packed: mget(keys),
            slot: 7,
        }
    }

    fn text(text: &'static str) -> Reply {
        Reply::String(text.into())
    }

    #[test]
    fn only_what_is_split_is_asked_by_key() {
        let commands = [
            command(&[b"a", b"b"]),
            command(&[b"c"]),
            command(&[b"d", b"d"]),
        ];
        let per_key = PerKey::of(&commands, &[0, 2]);
        let commands = per_key.commands().iter().map(|single| &*single.packed);
        let want: [&[u8]; 4] = [b"a", b"b", b"d", b"d"];
        assert!(commands.eq(want.map(|key| mget(&[key])).iter().map(|it| &**it)));
        assert!(per_key.commands().iter().all(|command| command.slot == 7));
        let one = |value| Ok(Reply::Array(vec![value]));
        let away = Err(LookupError::new(Code::LookupUnavailable, "away"));
        let mut settled = Vec::new();
        per_key.join(
            vec![one(text("A")), one(Reply::Nil), one(text("D")), away],
            |at, reply| settled.push((at, reply)),
        );
        let [(0, first), (2, second)] = &settled[..] else {
            panic!("{settled:?}");
        };
        let array = Reply::Array(vec![text("A"), Reply::Nil]);
        assert_eq!(first.as_ref().expect("an array"), &array);
        let err = second.as_ref().expect_err("one is away");
        assert_eq!(err.code, Code::LookupUnavailable);
    }
}
