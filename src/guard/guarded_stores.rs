//! Takes questions inward, through the guards to the stores.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::Chain;
use super::chain::{Before, Outcome};
use super::question::Question;
use super::reply_slots::{ReplySlots, SlotId};
use super::stores::{Sent, Stores};
use super::trickle::{Holding, Slow, Trickle, Way};
use crate::backend::{Answer, LookupError};
use crate::metrics::ProgramMetrics;
use crate::program::Program;
use crate::random::Random;

/// The stores of one event loop, and the guards around them.
pub(super) struct GuardedStores {
    pub(super) chain: Chain,
    pub(super) stores: Stores,
}

/// Where a question is.
pub(super) enum Stage<'a> {
    /// With its asker: it is not asked yet, or it was answered immediately.
    New,
    /// A guard holds it back. It goes further inward afterwards.
    Held(Holding<'a>),
    /// It travels with others, or has joined another one. Its answer arrives in this slot of the asker.
    Batched(SlotId),
    /// It travels alone.
    Alone(LocalBoxFuture<'a, Result<Answer, LookupError>>),
    /// A guard lets its answer arrive slowly.
    Slow(Box<Slow<'a>>),
}

/// How far inward a question has come.
pub(super) enum Reached<'a> {
    Stage(Stage<'a>),
    Answer(Result<Answer, LookupError>),
}

impl Stage<'_> {
    /// The same, with an answer that arrives slowly because of the guard at `place`.
    pub(super) fn slowed(self, trickle: Trickle, place: u8) -> Self {
        let way = match self {
            Stage::Held(hold) => Way::Held(hold),
            Stage::Batched(slot) => Way::Batched(slot),
            Stage::Alone(alone) => Way::Alone(alone),
            Stage::New | Stage::Slow(_) => return self,
        };
        Stage::Slow(Box::new(Slow {
            trickle,
            place,
            way,
        }))
    }
}

impl GuardedStores {
    /// Connects every store of `program`, or takes it over from `before` if it did not change.
    pub(super) async fn connect(
        program: &Arc<Program>,
        random: &Random,
        metrics: &Rc<ProgramMetrics>,
        before: Option<&GuardedStores>,
    ) -> Self {
        let mut chain = Chain::new(program, random, metrics);
        if let Some(before) = before {
            chain.take_over(&before.chain);
        }
        let stores = before.map(|before| &before.stores);
        GuardedStores {
            chain,
            stores: Stores::connect(program, random, metrics, stores).await,
        }
    }

    /// Takes a question inward, past the first `skip` guards. Returns how many guards have let it pass by now.
    #[inline]
    pub(super) fn ask<'a>(
        &'a self,
        skip: u8,
        question: &Question<'a>,
        slots: &ReplySlots,
    ) -> (u8, Reached<'a>) {
        let (passed, before) = self.chain.before(skip, question, slots);
        if let Before::Pass = before {
            // The usual case needs no drop; this skips the call to it.
            std::mem::forget(before);
            return (passed, self.send(question, slots));
        }
        let reached = match before {
            Before::Pass => self.send(question, slots),
            Before::Hold(hold) => Reached::Stage(Stage::Held(hold)),
            Before::Answer(answer) => Reached::Answer(answer),
            Before::Later(later) => Reached::Stage(Stage::Alone(later)),
            Before::Joined(slot) => Reached::Stage(Stage::Batched(slot)),
        };
        (passed, reached)
    }

    /// Sends a question that all guards have let pass.
    #[inline]
    fn send<'a>(&'a self, question: &Question<'a>, slots: &ReplySlots) -> Reached<'a> {
        match self.stores.send(question, slots) {
            Ok(Sent::Batched(slot)) => Reached::Stage(Stage::Batched(slot)),
            Ok(Sent::Alone(alone)) => Reached::Stage(Stage::Alone(alone)),
            Err(err) => Reached::Answer(Err(err)),
        }
    }

    /// The answer of the guard that has held or joined a question which has run out of time. `passed` guards have let it
    /// pass.
    pub(super) fn late(&self, passed: u8, question: &Question<'_>) -> Option<Answer> {
        self.chain.late(passed, question)
    }

    /// Takes an outcome outward, past the guards that have let the question pass.
    #[inline]
    pub(super) fn ended(&self, passed: Range<u8>, question: &Question<'_>, outcome: Outcome<'_>) {
        self.chain.after(passed, question, outcome);
    }
}
