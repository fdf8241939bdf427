//! Several lookups as one pipeline, each different command once.

use super::command::Command;
use super::resp::Reply;
use crate::backend::{Answer, Asked, LookupError};
use crate::value::Value;

/// One pipeline as it grows: kept from batch to batch for its room.
#[derive(Default)]
pub(super) struct Batch {
    /// The different commands as they go over the wire, one after the other.
    packed: Vec<u8>,
    /// Where each ends in `packed`, in order.
    ends: Vec<usize>,
    /// A command's place, one more than it, near where its hash says; 0 where there is none. Twice as long at least as
    /// there are commands, and a power of two. Commands are compared as they are, so that nothing hangs on the
    /// hash being a good one.
    known: Vec<u32>,
}

/// Where a lookup's reply will stand; `None` when there is nothing to ask, as for an `mget` of no keys.
pub(super) type Place = Result<Option<usize>, LookupError>;

impl Batch {
    /// Makes room to know so many lookups' commands again. To be called first.
    pub(super) fn expect(&mut self, lookups: usize) {
        self.known.resize((2 * lookups).next_power_of_two(), 0);
    }

    /// Adds the command of one lookup, unless it is there already.
    pub(super) fn place(&mut self, asked: &Asked<'_, Command>) -> Place {
        let start = self.packed.len();
        let added = asked.lookup.pack(asked.params, &mut self.packed);
        if !matches!(added, Ok(true)) {
            self.packed.truncate(start);
            return added.map(|_nothing| None);
        }
        let command = &self.packed[start..];
        let mask = self.known.len() - 1;
        let mut near = hash(command) & mask;
        while let Some(at) = (self.known[near] as usize).checked_sub(1) {
            if self.command(at) == command {
                self.packed.truncate(start);
                return Ok(Some(at));
            }
            near = (near + 1) & mask;
        }
        self.ends.push(self.packed.len());
        let place = self.ends.len();
        self.known[near] = u32::try_from(place).unwrap_or_default();
        Ok(Some(place - 1))
    }

    fn command(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.packed[start..self.ends[at]]
    }

    /// The commands one after the other, and how many there are.
    pub(super) fn commands(&self) -> (&[u8], usize) {
        (&self.packed, self.ends.len())
    }

    /// Leaves the room and nothing else.
    pub(super) fn clear(&mut self) {
        self.packed.clear();
        self.ends.clear();
        self.known.clear();
        // A batch of very long keys need not be remembered.
        self.packed.shrink_to(ROOM_KEPT);
    }
}

/// Bytes of room that a batch leaves to the next.
const ROOM_KEPT: usize = 64 * 1024;

/// FNV-1a over words of eight bytes: quick, and only ever compared within one batch.
#[expect(
    clippy::cast_possible_truncation,
    reason = "some of its bits are enough"
)]
fn hash(bytes: &[u8]) -> usize {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        hash = (hash ^ word).wrapping_mul(PRIME).rotate_left(23);
    }
    for &byte in chunks.remainder() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    }
    // The low bits of a product hang on low bits only.
    (hash >> 32) as usize
}

/// Each lookup's answer from the replies to a pipeline.
pub(super) fn answers(
    asked: &[Asked<'_, Command>],
    places: Vec<Place>,
    replies: Result<Vec<Reply>, LookupError>,
) -> Vec<Result<Answer, LookupError>> {
    let mut replies = match replies {
        Ok(replies) => replies,
        Err(err) => return asked.iter().map(|_| Err(err.clone())).collect(),
    };
    // Where each command was asked once, as is common, each reply has one taker.
    let shared = places.len() > replies.len();
    let mut answer = |(ask, place): (&Asked<'_, Command>, Place)| {
        let Some(at) = place? else {
            return Ok(Answer::new(Value::List(Vec::new())));
        };
        let reply = if shared {
            replies[at].clone()
        } else {
            std::mem::replace(&mut replies[at], Reply::Nil)
        };
        Ok(Answer::new(ask.lookup.answer(reply)?))
    };
    asked.iter().zip(places).map(&mut answer).collect()
}
