//! Several lookups as one pipeline, each different command once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use super::command::Command;
use super::resp::Reply;
use crate::backend::{Answer, Asked, LookupError};
use crate::value::Value;

/// One pipeline as it grows, and what it is made with: kept from batch to batch for its room.
#[derive(Default)]
pub(super) struct Batch {
    scratch: Vec<u8>,
    /// The different commands as they go over the wire, one after the other.
    packed: Vec<u8>,
    /// Where each stands in `packed`, in order.
    spans: Vec<Range<usize>>,
    /// A command's place by its hash. Commands that share a hash and differ are each sent, so that nothing
    /// hangs on the hash being a good one.
    known: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
}

/// Where a lookup's reply will stand; `None` when there is nothing to ask, as for an `mget` of no keys.
pub(super) type Place = Result<Option<usize>, LookupError>;

impl Batch {
    /// Adds the command of one lookup, unless it is there already.
    pub(super) fn place(&mut self, asked: &Asked<'_, Command>) -> Place {
        let start = self.packed.len();
        let added = asked
            .lookup
            .pack(asked.params, &mut self.scratch, &mut self.packed);
        if !matches!(added, Ok(true)) {
            self.packed.truncate(start);
            return added.map(|_nothing| None);
        }
        let hash = hash(&self.packed[start..]);
        if let Some(&at) = self.known.get(&hash)
            && self.packed[self.spans[at].clone()] == self.packed[start..]
        {
            self.packed.truncate(start);
            return Ok(Some(at));
        }
        let at = self.spans.len();
        self.spans.push(start..self.packed.len());
        self.known.insert(hash, at);
        Ok(Some(at))
    }

    /// The commands one after the other, and how many there are.
    pub(super) fn commands(&self) -> (&[u8], usize) {
        (&self.packed, self.spans.len())
    }

    /// Leaves the room and nothing else.
    pub(super) fn clear(&mut self) {
        self.packed.clear();
        self.spans.clear();
        self.known.clear();
        // A batch of very long keys need not be remembered.
        self.packed.shrink_to(ROOM_KEPT);
        self.scratch.shrink_to(ROOM_KEPT);
    }
}

/// Bytes of room that a batch leaves to the next.
const ROOM_KEPT: usize = 64 * 1024;

/// FNV-1a over words of eight bytes: quick, and only ever compared within one batch.
fn hash(bytes: &[u8]) -> u64 {
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
    hash
}

/// A hasher for what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
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
