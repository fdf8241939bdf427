//! Lets an answer arrive slowly, as from a store behind a bad network.
//!
//! In: a question on its way inward, and how many bytes of its answer arrive in a second. The answer comes late by the
//! time that its bytes in memory would take; a guard cannot deliver a part of it. The guards inside of the one that
//! asked for this hear the outcome when the store has it, those outside when it has arrived.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::reply_slots::SlotId;
use crate::backend::{Answer, LookupError};

/// How slowly an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trickle {
    bytes_per_second: u64,
}

/// What holds a question back, and how slowly its answer arrives afterwards.
pub(super) type Holding<'a> = LocalBoxFuture<'a, Result<Option<Trickle>, LookupError>>;

/// A question whose answer is to arrive slowly.
pub(super) struct Slow<'a> {
    pub(super) trickle: Trickle,
    /// The place of the outermost guard that asked for it.
    pub(super) place: u8,
    pub(super) way: Way<'a>,
}

/// Where such a question is.
pub(super) enum Way<'a> {
    /// A guard further inside holds it back.
    Held(Holding<'a>),
    /// It travels with others.
    Batched(SlotId),
    /// It travels alone.
    Alone(LocalBoxFuture<'a, Result<Answer, LookupError>>),
    /// The store has answered.
    Arrives(LocalBoxFuture<'a, Result<Answer, LookupError>>),
}

impl Trickle {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Trickle { bytes_per_second }
    }

    /// The slower one.
    pub(super) fn and(self, other: Option<Trickle>) -> Self {
        let other = other.map_or(u64::MAX, |other| other.bytes_per_second);
        Trickle::new(self.bytes_per_second.min(other))
    }

    /// The answer, once it has arrived.
    pub(super) async fn deliver(self, answer: Answer) -> Result<Answer, LookupError> {
        tokio::time::sleep(self.takes(answer.value.memory())).await;
        Ok(answer)
    }

    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    fn takes(self, bytes: usize) -> Duration {
        let seconds = bytes as f64 / self.bytes_per_second.max(1) as f64;
        Duration::from_secs_f64(seconds)
    }
}

impl Slow<'_> {
    /// The slot where its answer arrives, if it travels with others.
    pub(super) fn slot(&self) -> Option<SlotId> {
        match self.way {
            Way::Batched(slot) => Some(slot),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_as_long_as_its_bytes() {
        let takes = |rate, bytes| Trickle::new(rate).takes(bytes);
        assert_eq!(takes(1024, 2048), Duration::from_secs(2));
        assert_eq!(takes(u64::MAX, 2048), Duration::ZERO);
        let slower = Trickle::new(7).and(Some(Trickle::new(5)));
        assert_eq!(slower, Trickle::new(5));
        assert_eq!(slower.and(None), slower);
    }
}
