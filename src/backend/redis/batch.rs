//! Builds one pipeline of several lookups, with each different command once.
//!
//! This runs for every batch, so it allocates nothing per command and keeps its buffers between batches.

use std::cell::RefCell;
use std::num::NonZeroU32;

use super::command::Command;
use super::resp::Reply;
use crate::backend::{Answer, Answers, BatchedAsk, LookupError};
use crate::error::Code;
use crate::value::Value;

/// How many empty batches are kept: several are under way at a time.
const SPARE_MAX: usize = 4;

/// Empty batches, kept for their buffers.
#[derive(Default)]
pub(super) struct Spare(RefCell<Vec<Batch>>);

impl Spare {
    /// An empty batch.
    pub(super) fn take(&self) -> Batch {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Empties a batch that has ended, and keeps it.
    pub(super) fn put(&self, mut batch: Batch) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < SPARE_MAX {
            batch.clear();
            spare.push(batch);
        }
    }
}

/// One pipeline.
#[derive(Default)]
pub(super) struct Batch {
    /// The different commands as they go over the wire, one after the other.
    packed: Vec<u8>,
    /// Where each ends in `packed`, in order.
    ends: Vec<usize>,
    /// A hash table with linear probing: each command's hash and number. Its length is a power of two, and at least twice
    /// the number of commands. Commands with equal hashes are compared, so a weak hash costs time only.
    known: Vec<Option<Known>>,
    /// One for each lookup.
    places: Vec<CommandNumber>,
    /// The replies so far, if lookups share them.
    replies: Vec<Reply>,
}

/// The different commands of a batch.
#[derive(Clone, Copy)]
pub(super) struct Commands<'b> {
    packed: &'b [u8],
    ends: &'b [usize],
}

/// Answers the lookups of a batch, each when its reply is there.
pub(super) struct Delivery<'b> {
    asked: &'b [BatchedAsk<'b, Command>],
    answers: Answers<'b>,
    places: &'b mut [CommandNumber],
    /// The first lookup without an answer.
    next: usize,
    /// How many replies there were.
    received: usize,
    /// Whether some lookups have the same command, or none.
    shared: bool,
    replies: &'b mut Vec<Reply>,
}

#[derive(Clone, Copy)]
struct Known {
    hash: u32,
    place: NonZeroU32,
}

/// The number of a lookup's command; `None` when there is nothing to ask, as for an `mget` of no keys. Errors are rare, and
/// boxed to keep this small.
type CommandNumber = Result<Option<usize>, Box<LookupError>>;

impl Batch {
    /// Adds the commands of these lookups, each different one once. The batch has to be empty.
    pub(super) fn add(&mut self, asked: &[BatchedAsk<'_, Command>]) {
        self.known
            .resize((2 * asked.len()).next_power_of_two(), None);
        for ask in asked {
            let place = self.place(ask);
            self.places.push(place);
        }
    }

    fn place(&mut self, asked: &BatchedAsk<'_, Command>) -> CommandNumber {
        let start = self.packed.len();
        let added = asked.lookup.pack(asked.params, &mut self.packed);
        if !matches!(added, Ok(true)) {
            self.packed.truncate(start);
            return added.map(|_nothing| None).map_err(Box::new);
        }
        let hash = hash(&self.packed[start + HEAD_BYTES..]);
        let mask = self.known.len() - 1;
        let mut near = hash as usize & mask;
        while let Some(known) = self.known[near] {
            let at = known.place.get() as usize - 1;
            if known.hash == hash && self.command(at) == &self.packed[start..] {
                self.packed.truncate(start);
                return Ok(Some(at));
            }
            near = (near + 1) & mask;
        }
        self.ends.push(self.packed.len());
        let at = self.ends.len() - 1;
        let place = u32::try_from(at + 1).ok().and_then(NonZeroU32::new);
        self.known[near] = place.map(|place| Known { hash, place });
        Ok(Some(at))
    }

    fn command(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.packed[start..self.ends[at]]
    }

    /// The commands, and what answers the lookups. The lookups are those that were added.
    pub(super) fn parts<'b>(
        &'b mut self,
        asked: &'b [BatchedAsk<'b, Command>],
        answers: Answers<'b>,
    ) -> (Commands<'b>, Delivery<'b>) {
        let commands = Commands {
            packed: &self.packed,
            ends: &self.ends,
        };
        let delivery = Delivery {
            asked,
            answers,
            places: &mut self.places,
            next: 0,
            received: 0,
            shared: asked.len() > self.ends.len(),
            replies: &mut self.replies,
        };
        (commands, delivery)
    }

    /// Empties the batch and keeps its buffers.
    fn clear(&mut self) {
        self.packed.clear();
        self.ends.clear();
        self.known.clear();
        self.places.clear();
        self.replies.drain(..).for_each(Reply::discard);
        // The buffer of a batch with very long keys is not kept.
        self.packed.shrink_to(ROOM_KEPT);
    }
}

impl<'b> Commands<'b> {
    /// Those after the first `count`, one after the other, and how many there are.
    pub(super) fn after(self, count: usize) -> (&'b [u8], usize) {
        let start = count.checked_sub(1).map_or(0, |last| self.ends[last]);
        (&self.packed[start..], self.ends.len() - count)
    }
}

impl Delivery<'_> {
    /// How many replies there were.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// The reply to the next command is there. Commands are in the order of the first lookups that need them, so lookups
    /// are answered in their order.
    pub(super) fn receive(&mut self, reply: Reply) {
        self.received += 1;
        if self.shared {
            return self.receive_shared(reply);
        }
        // In the common case each lookup has a command of its own, and each reply is moved instead of copied.
        if let Some(asked) = self.asked.get(self.next) {
            self.answer(asked.lookup.reply.answer(reply));
        }
    }

    /// As [`Delivery::receive`], if some lookups have the same command or none.
    fn receive_shared(&mut self, reply: Reply) {
        self.replies.push(reply);
        loop {
            self.answer_unasked();
            match self.places.get(self.next) {
                Some(Ok(Some(at))) if *at < self.received => {
                    let reply = self.replies[*at].clone();
                    self.answer(self.asked[self.next].lookup.reply.answer(reply));
                }
                _ => return,
            }
        }
    }

    /// Answers the next lookups that have no command.
    #[inline]
    fn answer_unasked(&mut self) {
        while let Some(place @ (Ok(None) | Err(_))) = self.places.get_mut(self.next) {
            let unasked = std::mem::replace(place, Ok(None));
            self.answer(unasked_answer(unasked));
        }
    }

    /// No more replies will come: for the reason, if some are missing.
    pub(super) fn end(&mut self, ended: &Result<(), LookupError>) {
        while let Some(place) = self.places.get_mut(self.next) {
            let answer = match std::mem::replace(place, Ok(None)) {
                Ok(Some(_missing)) => {
                    let none =
                        || LookupError::new(Code::ServerInternal, "a command without a reply");
                    Err(ended.clone().err().unwrap_or_else(none))
                }
                unasked => unasked_answer(unasked),
            };
            self.answer(answer);
        }
    }

    /// Answers the next lookup.
    #[inline]
    fn answer(&mut self, answer: Result<Answer, LookupError>) {
        self.answers.give(self.next, answer);
        self.next += 1;
    }
}

/// The answer to a lookup that has no command: it has nothing to ask, or could not be asked.
#[cold]
fn unasked_answer(place: CommandNumber) -> Result<Answer, LookupError> {
    match place {
        Ok(_) => Ok(Answer::new(Value::List(Vec::new()))),
        Err(err) => Err(*err),
    }
}

/// Nearly all commands begin alike: how many arguments there are, and how long the first one is. The shortest command has more
/// than twice as many bytes.
const HEAD_BYTES: usize = 8;
/// How much of the buffer is kept for the next batch.
const ROOM_KEPT: usize = 64 * 1024;

/// Multiplies in one word of eight bytes after the other: fast, and only compared within one batch.
fn hash(bytes: &[u8]) -> u32 {
    // From the golden ratio: the upper bits of the product depend on every bit.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(FACTOR);
        product ^ (product >> 32)
    };
    // Nothing is shorter than a word, so the last word may overlap with the one before it.
    let (words, _) = bytes.as_chunks::<8>();
    let last = bytes.last_chunk::<8>().into_iter();
    let hash = words
        .iter()
        .chain(last)
        .fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let [a, b, c, d, ..] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
