//! One answer for several calls: how it is kept, and how each call gets it.
//!
//! A small value is cloned for each call; its texts are shared. Cloning a large one takes longer than a loop may be held, so
//! that is done on another thread, once there is room for it. What calls use is counted as the memory of stores' answers,
//! whether or not the cache still has it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{Answer, Held, Lent, LookupError, StoreMemory};
use crate::offload::{LARGE_VALUES, drop_elsewhere, offload};
use crate::timeline::{Micros, Source};
use crate::value::Value;

/// Copying more bytes is done on another thread.
const COPIED_BYTES_MAX: usize = 256 * 1024;

/// A value that several calls get.
#[derive(Debug)]
pub(super) struct SharedAnswer {
    value: SharedValue,
    /// How many bytes it takes.
    pub(super) bytes: usize,
    /// The memory of the answer that it was made of, if it is still that.
    held: Held,
    lent: Lent,
}

#[derive(Debug)]
enum SharedValue {
    Small(Value),
    Large(Arc<Value>),
}

/// What a call is told about an answer that is not its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provenance {
    pub(super) source: Source,
    pub(super) age: Option<Duration>,
    pub(super) first_answer: Option<Instant>,
}

/// How a call gets an answer.
pub(super) enum Handed {
    Now(Answer),
    Later(LargeCopy),
}

/// A copy of a large value that is still to be made.
pub(super) struct LargeCopy {
    value: Arc<Value>,
    bytes: usize,
    provenance: Provenance,
    memory: StoreMemory,
}

impl Provenance {
    /// That of a kept answer.
    pub(super) fn kept(source: Source, age: Duration) -> Self {
        Provenance {
            source,
            age: Some(age),
            first_answer: None,
        }
    }

    /// An answer with this value.
    pub(super) fn answer(self, value: Value) -> Answer {
        Answer {
            source: self.source,
            age: self.age.map(Micros::from),
            first_answer: self.first_answer,
            ..Answer::new(value)
        }
    }
}

impl SharedAnswer {
    /// Shares the value of an answer as it is.
    pub(super) async fn of(answer: Answer) -> Self {
        if !is_large(&answer) {
            let (bytes, held) = (answer.value.memory(), answer.held());
            return SharedAnswer::new(SharedValue::Small(answer.value), bytes, held);
        }
        let held = answer.held();
        let value = Arc::new(answer.value);
        let measured = Arc::clone(&value);
        let bytes = offload(move || measured.memory()).await;
        let bytes = bytes.unwrap_or_else(|_not_done| value.memory());
        SharedAnswer::new(SharedValue::Large(value), bytes, held)
    }

    /// A copy of the value of `answer` to keep, with nothing around it. `None` if it takes more than `bytes_max`, or if too many
    /// large ones are copied at the moment.
    pub(super) async fn copy_of(answer: &mut Answer, bytes_max: usize) -> Option<Self> {
        let is_large = is_large(answer);
        if !is_large {
            let bytes = answer.value.memory();
            if bytes > bytes_max {
                return None;
            }
            if bytes <= COPIED_BYTES_MAX {
                let copy = SharedValue::Small(answer.value.compacted());
                return Some(SharedAnswer::new(copy, bytes, Held::default()));
            }
        }
        let original = Arc::new(std::mem::take(&mut answer.value));
        let copied = Arc::clone(&original);
        let copy = offload(move || {
            let bytes = copied.memory();
            (bytes <= bytes_max).then(|| (copied.compacted(), bytes))
        });
        let copy = copy.await;
        // The other thread has let go of it, unless the copy was not made.
        answer.value = Arc::try_unwrap(original).unwrap_or_else(|shared| (*shared).clone());
        let (copy, bytes) = copy.ok()??;
        let copy = if is_large {
            SharedValue::Large(Arc::new(copy))
        } else {
            SharedValue::Small(copy)
        };
        Some(SharedAnswer::new(copy, bytes, Held::default()))
    }

    fn new(value: SharedValue, bytes: usize, held: Held) -> Self {
        SharedAnswer {
            value,
            bytes,
            held,
            lent: Lent::default(),
        }
    }

    /// The answer for one more call.
    pub(super) fn hand_out(&self, provenance: Provenance, memory: &StoreMemory) -> Handed {
        match &self.value {
            SharedValue::Small(value) => {
                let held = if self.held.is_nothing() {
                    self.lent.lend(memory, self.bytes)
                } else {
                    self.held.clone()
                };
                Handed::Now(provenance.answer(value.clone()).holding(held))
            }
            SharedValue::Large(value) => Handed::Later(LargeCopy {
                value: Arc::clone(value),
                bytes: self.bytes,
                provenance,
                memory: memory.clone(),
            }),
        }
    }
}

/// Whether an answer has so many values that a loop should not handle them.
fn is_large(answer: &Answer) -> bool {
    answer.is_large || answer.value.is_more_than(LARGE_VALUES)
}

impl Drop for SharedAnswer {
    fn drop(&mut self) {
        let value = std::mem::replace(&mut self.value, SharedValue::Small(Value::Null));
        if let SharedValue::Large(value) = value {
            drop_elsewhere(value);
        }
    }
}

impl LargeCopy {
    /// The answer, whose value is made when it is decoded, once there is room for it.
    pub(super) async fn make(self, deadline: Instant) -> Result<Answer, LookupError> {
        let mut reading = self.memory.read_shared();
        reading.wait(self.bytes, deadline).await?;
        let value = self.value;
        let made = Answer::undecoded(move || Ok((*value).clone()));
        Ok(Answer {
            source: self.provenance.source,
            age: self.provenance.age.map(Micros::from),
            first_answer: self.provenance.first_answer,
            ..made.holding(reading.held())
        })
    }
}
