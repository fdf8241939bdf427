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
use crate::backend::redis::command::Command;
use crate::backend::redis::resp::Reply;
use crate::backend::{Answer, Answers, BatchedAsk, Held, LookupError};
use crate::error::Code;
use crate::value::Value;

/// The commands of a batch.
pub(super) struct SlotCommands {
    commands: Vec<SlotCommand>,
    /// The number of each different command.
    numbers: HashMap<Rc<[u8]>, usize>,
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
            numbers: HashMap::with_capacity(asked.len()),
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
        let next = self.commands.len();
        let number = *self.numbers.entry(Rc::clone(&packed)).or_insert(next);
        if number == next {
            self.commands.push(SlotCommand { packed, slot });
        }
        number
    }
}

impl ReplyPlace {
    /// The commands whose replies are needed, each once.
    fn commands(&self) -> Vec<usize> {
        match self {
            ReplyPlace::Nothing => Vec::new(),
            ReplyPlace::Whole(number) => vec![*number],
            ReplyPlace::Joined(keys) => {
                let mut numbers: Vec<usize> = keys.iter().map(|(number, _)| *number).collect();
                numbers.sort_unstable();
                numbers.dedup();
                numbers
            }
        }
    }
}

/// Answers each lookup of a batch as soon as the replies that it needs are there.
pub(super) struct Delivery<'a> {
    asked: &'a [BatchedAsk<'a, Command>],
    places: Vec<Result<ReplyPlace, LookupError>>,
    /// For each lookup, how many replies are still to come.
    missing: Vec<usize>,
    /// For each command, the lookups that need its reply.
    askers: Vec<Vec<usize>>,
    replies: Replies,
    answers: Answers<'a>,
}

impl<'a> Delivery<'a> {
    /// Answers the lookups that need no reply.
    pub(super) fn new(
        commands: SlotCommands,
        asked: &'a [BatchedAsk<'a, Command>],
        answers: Answers<'a>,
    ) -> (Vec<SlotCommand>, Self) {
        let SlotCommands {
            commands, places, ..
        } = commands;
        let mut delivery = Delivery {
            asked,
            missing: Vec::with_capacity(asked.len()),
            askers: vec![Vec::new(); commands.len()],
            replies: Replies(commands.iter().map(|_| (0, None)).collect()),
            places,
            answers,
        };
        for at in 0..asked.len() {
            let place = delivery.places[at].as_ref();
            let numbers = place.map_or_else(|_| Vec::new(), ReplyPlace::commands);
            for number in &numbers {
                delivery.askers[*number].push(at);
                delivery.replies.0[*number].0 += 1;
            }
            delivery.missing.push(numbers.len());
            if numbers.is_empty() {
                delivery.answer(at);
            }
        }
        (commands, delivery)
    }

    /// The reply to a command has come, or will not come.
    pub(super) fn settle(&mut self, number: usize, reply: Result<Reply, LookupError>) {
        self.replies.0[number].1 = Some(reply);
        for at in std::mem::take(&mut self.askers[number]) {
            self.missing[at] -= 1;
            if self.missing[at] == 0 {
                self.answer(at);
            }
        }
    }

    fn answer(&mut self, at: usize) {
        let nothing = Ok(ReplyPlace::Nothing);
        let place = std::mem::replace(&mut self.places[at], nothing);
        let reply = place.and_then(|place| match place {
            ReplyPlace::Nothing => Ok(None),
            ReplyPlace::Whole(number) => self.replies.take(number).map(Some),
            ReplyPlace::Joined(keys) => join(&mut self.replies, &keys).map(Some),
        });
        let answer = reply.and_then(|reply| match reply {
            None => Ok(Answer::new(Value::List(Vec::new()))),
            Some(reply) => self.asked[at].lookup.reply.answer(reply),
        });
        self.answers.give(at, answer);
    }
}

/// The replies to commands, each with the number of lookups that have not received it yet.
struct Replies(Vec<(usize, Option<Result<Reply, LookupError>>)>);

impl Replies {
    /// The reply to a command, for one of its lookups: the last one takes it, the others copy it.
    fn take(&mut self, number: usize) -> Result<Reply, LookupError> {
        let (askers, reply) = &mut self.0[number];
        *askers = askers.saturating_sub(1);
        let reply = match askers {
            0 => reply.take(),
            _ => reply.clone(),
        };
        reply.unwrap_or_else(|| {
            let why = "a command without a reply";
            Err(LookupError::new(Code::ServerInternal, why))
        })
    }
}

/// One array with an item per key, as the undivided command would have given.
fn join(replies: &mut Replies, keys: &[(usize, usize)]) -> Result<Reply, LookupError> {
    let mut taken: HashMap<usize, Vec<Reply>> = HashMap::new();
    let mut failed = None;
    let mut held = Vec::new();
    for (number, _) in keys {
        if taken.contains_key(number) {
            continue;
        }
        // All are taken, even if one failed, because each asker has a share in every reply.
        let reply = replies.take(*number).map(|reply| reply.unheld(&mut held));
        let items = match reply {
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
        Ok::<_, LookupError>(std::mem::replace(item, Reply::Nil))
    };
    let items = keys.iter().map(&mut item);
    let items = items.collect::<Result<_, _>>().map(Reply::Array)?;
    Ok(items.holding(Held::several(held.into_iter())))
}

#[cfg(test)]
mod tests;
