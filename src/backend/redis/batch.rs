//! Several lookups as one pipeline, each different command once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use redis::Pipeline;

use super::command::Command;
use crate::backend::{Answer, Asked, LookupError};
use crate::value::Value;

/// One pipeline as it grows.
pub(super) struct Batch {
    pipeline: Pipeline,
    scratch: Vec<u8>,
    /// The different commands as they go over the wire, one after the other.
    packed: Vec<u8>,
    /// Where each stands in `packed`, in the order of the pipeline.
    spans: Vec<Range<usize>>,
    /// A command's place by its hash. Commands that share a hash and differ are each sent, so that nothing
    /// hangs on the hash being a good one.
    known: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
}

/// Where a lookup's reply will stand; `None` when there is nothing to ask, as for an `mget` of no keys.
pub(super) type Place = Result<Option<usize>, LookupError>;

impl Batch {
    pub(super) fn new(count: usize, scratch: Vec<u8>) -> Self {
        Batch {
            pipeline: Pipeline::with_capacity(count),
            scratch,
            packed: Vec::with_capacity(count * 32),
            spans: Vec::with_capacity(count),
            known: HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default()),
        }
    }

    /// Adds the command of one lookup, unless it is there already.
    pub(super) fn place(&mut self, asked: &Asked<'_, Command>) -> Place {
        let Some(command) = asked.lookup.pack(asked.params, &mut self.scratch)? else {
            return Ok(None);
        };
        let start = self.packed.len();
        command.write_packed_command(&mut self.packed);
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
        self.pipeline.add_command(command);
        Ok(Some(at))
    }

    pub(super) fn into_parts(self) -> (Pipeline, Vec<u8>) {
        (self.pipeline, self.scratch)
    }
}

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
    places: &[Place],
    replies: Result<Vec<Result<redis::Value, LookupError>>, LookupError>,
) -> Vec<Result<Answer, LookupError>> {
    let mut replies = match replies {
        Ok(replies) => replies,
        Err(err) => return asked.iter().map(|_| Err(err.clone())).collect(),
    };
    // The last to use a reply takes it, the others copy it.
    let mut users = vec![0_usize; replies.len()];
    for at in places
        .iter()
        .filter_map(|place| place.as_ref().ok().copied().flatten())
    {
        users[at] += 1;
    }
    let nil = || Ok(redis::Value::Nil);
    let mut answer = |(ask, place): (&Asked<'_, Command>, &Place)| {
        let Some(at) = place.clone()? else {
            return Ok(Answer::new(Value::List(Vec::new())));
        };
        users[at] -= 1;
        let reply = match users[at] {
            0 => std::mem::replace(&mut replies[at], nil()),
            _ => replies[at].clone(),
        };
        Ok(Answer::new(ask.lookup.answer(reply?)?))
    };
    asked.iter().zip(places).map(&mut answer).collect()
}
