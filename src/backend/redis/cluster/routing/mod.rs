//! Splits a batch of lookups into commands of one slot each, and joins the replies into answers.
//!
//! Equal commands are sent once. An `mget` becomes one command per slot of its keys, and its
//! answer is joined in the order of the keys; if one of the commands fails, the `mget` fails.

mod slot_command; // a packed command and its keys
mod per_key; // commands of several keys that no node has all of

use std::collections::HashMap;
use std::rc::Rc;

pub(super) use self::per_key::{PerKey, is_split};
pub(super) use self::slot_command::SlotCommand;
use self::slot_command::{keys, mget};
use super::slot;
use crate::backend::format::bad_answer;
use crate::backend::net::{Distinct, SharedAnswers};
use crate::backend::redis::command::Command;
use crate::backend::redis::resp::Reply;
use crate::backend::{Answer, BatchedAsk, LookupError};
use crate::error::Code;
use crate::value::Value;

/// The commands of a batch.
pub(super) struct SlotCommands {
    commands: Vec<SlotCommand>,
    /// Numbers the different commands.
    distinct: Distinct<Rc<[u8]>>,
    /// For each lookup, where its replies will be.
    places: Vec<Result<ReplyPlace, LookupError>>,
}

/// Where the replies to one lookup are.
enum ReplyPlace {
    /// There is nothing to ask, as for an `mget` of no keys.
    Nothing,
    /// The reply to one command.
    Whole(usize),
    /// Several replies: for each key, the number of the command and the item of its reply.
    Joined(Vec<(usize, usize)>),
}

impl SlotCommands {
    /// Splits a batch.
    pub(super) fn of(asked: &[BatchedAsk<'_, Command>]) -> Self {
        let mut commands = SlotCommands {
            commands: Vec::with_capacity(asked.len()),
            distinct: Distinct::with_capacity(asked.len()),
            places: Vec::with_capacity(asked.len()),
        };
        let mut packed = Vec::new();
        for ask in asked {
            packed.clear();
            let any = ask.lookup.pack(ask.params, &mut packed);
            let place = any.map(|any| {
                if any {
                    commands.place(&packed, ask.lookup.has_keys())
                } else {
                    ReplyPlace::Nothing
                }
            });
            commands.places.push(place);
        }
        commands
    }

    /// The commands to send.
    pub(super) fn commands(&self) -> &[SlotCommand] {
        &self.commands
    }

    fn place(&mut self, packed: &[u8], has_keys: bool) -> ReplyPlace {
        let keys: Vec<&[u8]> = keys(packed, has_keys).collect();
        let slots: Vec<u16> = keys.iter().map(|key| slot::of(key)).collect();
        match slots[..] {
            [] => return ReplyPlace::Nothing,
            [first, ref rest @ ..] if rest.iter().all(|slot| *slot == first) => {
                return ReplyPlace::Whole(self.add(packed.into(), first));
            }
            _ => {}
        }
        // Several slots: one command for each, with its keys in their order.
        let mut commands: Vec<(u16, Vec<&[u8]>)> = Vec::new();
        let mut by_slot = HashMap::new();
        let mut joined = Vec::with_capacity(slots.len());
        for (key, slot) in keys.into_iter().zip(slots) {
            let at = *by_slot.entry(slot).or_insert_with(|| {
                commands.push((slot, Vec::new()));
                commands.len() - 1
            });
            let (_, keys) = &mut commands[at];
            joined.push((at, keys.len()));
            keys.push(key);
        }
        let add = |(slot, keys): (u16, Vec<&[u8]>)| self.add(mget(&keys), slot);
        let numbers: Vec<usize> = commands.into_iter().map(add).collect();
        for (at, _) in &mut joined {
            *at = numbers[*at];
        }
        ReplyPlace::Joined(joined)
    }

    /// The number of a command, which is sent once however often it is added.
    fn add(&mut self, packed: Rc<[u8]>, slot: u16) -> usize {
        let (number, is_new) = self.distinct.add(Rc::clone(&packed));
        if is_new {
            self.commands.push(SlotCommand { packed, slot });
        }
        number
    }

    /// Each lookup's answer, from one reply or failure per command.
    pub(super) fn answers(
        self,
        asked: &[BatchedAsk<'_, Command>],
        replies: Vec<Result<Reply, LookupError>>,
    ) -> Vec<Result<Answer, LookupError>> {
        let mut replies = self.distinct.share(replies);
        let mut answer =
            |(ask, place): (&BatchedAsk<'_, Command>, Result<ReplyPlace, LookupError>)| {
                let reply = match place? {
                    ReplyPlace::Nothing => return Ok(Answer::new(Value::List(Vec::new()))),
                    ReplyPlace::Whole(number) => take(&mut replies, number)?,
                    ReplyPlace::Joined(keys) => join(&mut replies, &keys)?,
                };
                Ok(Answer::new(ask.lookup.answer(reply)?))
            };
        asked.iter().zip(self.places).map(&mut answer).collect()
    }
}

type Replies = SharedAnswers<Result<Reply, LookupError>>;

fn take(replies: &mut Replies, number: usize) -> Result<Reply, LookupError> {
    replies.take(number).unwrap_or_else(|| {
        let why = "a command without a reply";
        Err(LookupError::new(Code::ServerInternal, why))
    })
}

/// One array with an item per key, as the undivided command would have given.
fn join(replies: &mut Replies, keys: &[(usize, usize)]) -> Result<Reply, LookupError> {
    let mut taken: HashMap<usize, Vec<Reply>> = HashMap::new();
    let mut failed = None;
    for (number, _) in keys {
        if taken.contains_key(number) {
            continue;
        }
        // All are taken, even if one failed, because each asker has a share in every reply.
        let items = match take(replies, *number) {
            Ok(Reply::Array(items)) => items,
            other => {
                failed.get_or_insert(other);
                Vec::new()
            }
        };
        taken.insert(*number, items);
    }
    if let Some(failed) = failed {
        return failed;
    }
    let mut item = |(number, item): &(usize, usize)| {
        let item = taken.get_mut(number).and_then(|items| items.get_mut(*item));
        let item = item.ok_or_else(|| bad_answer("`MGET` returned fewer values than keys"))?;
        Ok(std::mem::replace(item, Reply::Nil))
    };
    let items = keys.iter().map(&mut item);
    items.collect::<Result<_, _>>().map(Reply::Array)
}

#[cfg(test)]
mod tests;
