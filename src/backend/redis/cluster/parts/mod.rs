//! A batch of lookups as commands of one slot each, and their replies as answers again.
//!
//! Equal commands stand here once, whoever asks. An `mget` becomes one command per slot of its keys, and its
//! answer is joined again in the order of the keys; if one of them fails, it fails.

mod by_key; // commands of several keys that no node has all of

use std::collections::HashMap;
use std::rc::Rc;

pub(super) use self::by_key::{ByKey, is_torn};
use super::slot;
use crate::backend::redis::resp::{Reply, put_argument, put_head};
use crate::backend::{Answer, Asked, LookupError, format::bad_answer, redis::command::Command};
use crate::value::Value;

/// The commands of a batch.
pub(super) struct Parts {
    different: Vec<Part>,
    /// Each command's place in `different`.
    known: HashMap<Rc<[u8]>, usize>,
    /// Per lookup where its replies will stand.
    places: Vec<Result<Place, LookupError>>,
}

/// A command and the slot of all its keys.
pub(super) struct Part {
    /// As it goes over the wire.
    pub(super) command: Rc<[u8]>,
    pub(super) slot: u16,
    /// The lookups that use its reply.
    users: usize,
}

/// Where the replies to one lookup stand.
enum Place {
    /// There is nothing to ask, as for an `mget` of no keys.
    Nothing,
    /// It is one command.
    Whole(usize),
    /// It is several, and its answer is this item of that one's reply for each key.
    Joined(Vec<(usize, usize)>),
}

impl Parts {
    /// Takes a batch apart.
    pub(super) fn of(asked: &[Asked<'_, Command>]) -> Self {
        let mut parts = Parts {
            different: Vec::with_capacity(asked.len()),
            known: HashMap::with_capacity(asked.len()),
            places: Vec::with_capacity(asked.len()),
        };
        let mut packed = Vec::new();
        for ask in asked {
            packed.clear();
            let any = ask.lookup.pack(ask.params, &mut packed);
            let place = any.map(|any| {
                if any {
                    parts.place(&packed, ask.lookup.has_keys())
                } else {
                    Place::Nothing
                }
            });
            parts.places.push(place);
        }
        parts
    }

    /// The commands to send.
    pub(super) fn parts(&self) -> &[Part] {
        &self.different
    }

    fn place(&mut self, packed: &[u8], has_keys: bool) -> Place {
        let keys: Vec<&[u8]> = keys(packed, has_keys).collect();
        let slots: Vec<u16> = keys.iter().map(|key| slot::of(key)).collect();
        match slots[..] {
            [] => return Place::Nothing,
            [first, ref rest @ ..] if rest.iter().all(|slot| *slot == first) => {
                return Place::Whole(self.add(packed.into(), first));
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
        let places: Vec<usize> = commands.into_iter().map(add).collect();
        for (at, _) in &mut joined {
            *at = places[*at];
        }
        Place::Joined(joined)
    }

    /// The place of a command, which is new unless it is there already.
    fn add(&mut self, command: Rc<[u8]>, slot: u16) -> usize {
        let next = self.different.len();
        let at = *self.known.entry(Rc::clone(&command)).or_insert(next);
        if at == next {
            self.different.push(Part {
                command,
                slot,
                users: 0,
            });
        }
        self.different[at].users += 1;
        at
    }

    /// Each lookup's answer, from one reply or failure per command.
    pub(super) fn answers(
        self,
        asked: &[Asked<'_, Command>],
        replies: Vec<Result<Reply, LookupError>>,
    ) -> Vec<Result<Answer, LookupError>> {
        let mut replies = Replies {
            users: self.different.iter().map(|part| part.users).collect(),
            replies,
        };
        let mut answer = |(ask, place): (&Asked<'_, Command>, Result<Place, LookupError>)| {
            let reply = match place? {
                Place::Nothing => return Ok(Answer::new(Value::List(Vec::new()))),
                Place::Whole(at) => replies.take(at)?,
                Place::Joined(keys) => replies.join(&keys)?,
            };
            Ok(Answer::new(ask.lookup.answer(reply)?))
        };
        asked.iter().zip(self.places).map(&mut answer).collect()
    }
}

fn mget(keys: &[&[u8]]) -> Rc<[u8]> {
    let mut packed = Vec::new();
    put_head(&mut packed, 1 + keys.len());
    put_argument(&mut packed, b"MGET");
    for key in keys {
        put_argument(&mut packed, key);
    }
    packed.into()
}

/// The keys of a packed command: its first argument, or all of them.
fn keys(packed: &[u8], all: bool) -> impl Iterator<Item = &[u8]> {
    words(packed).skip(1).take(if all { usize::MAX } else { 1 })
}

/// The words of a packed command, its name first.
fn words(packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    // The first line counts them, and their end is the end.
    let mut rest = line(packed).map_or(&[][..], |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (length, after) = line(rest)?;
        let length: usize = std::str::from_utf8(length.get(1..)?).ok()?.parse().ok()?;
        rest = after.get(length + 2..)?;
        after.get(..length)
    })
}

/// The first line and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\r')?;
    Some((&bytes[..end], bytes.get(end + 2..)?))
}

/// Replies, each of which may have several users: the last of them takes it, the others copy it.
struct Replies {
    users: Vec<usize>,
    replies: Vec<Result<Reply, LookupError>>,
}

impl Replies {
    fn take(&mut self, at: usize) -> Result<Reply, LookupError> {
        self.users[at] -= 1;
        match self.users[at] {
            0 => std::mem::replace(&mut self.replies[at], Ok(Reply::Nil)),
            _ => self.replies[at].clone(),
        }
    }

    /// One array of an item per key, as the undivided command would have given.
    fn join(&mut self, keys: &[(usize, usize)]) -> Result<Reply, LookupError> {
        let mut taken: HashMap<usize, Vec<Reply>> = HashMap::new();
        let mut failed = None;
        for (at, _) in keys {
            if taken.contains_key(at) {
                continue;
            }
            // All are taken, whether or not one failed: others count on that.
            let items = match self.take(*at) {
                Ok(Reply::Array(items)) => items,
                other => {
                    failed.get_or_insert(other);
                    Vec::new()
                }
            };
            taken.insert(*at, items);
        }
        if let Some(failed) = failed {
            return failed;
        }
        let mut item = |(at, place): &(usize, usize)| {
            let item = taken.get_mut(at).and_then(|items| items.get_mut(*place));
            let item = item.ok_or_else(|| bad_answer("`MGET` of fewer values than keys"))?;
            Ok(std::mem::replace(item, Reply::Nil))
        };
        let items = keys.iter().map(&mut item);
        items.collect::<Result<_, _>>().map(Reply::Array)
    }
}

#[cfg(test)]
mod tests;
