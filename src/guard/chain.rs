//! Defines what a guard is, and chains guards in the order of a list.
//!
//! The chain is one struct with a field per guard. Calls are static: a guard that does nothing for a question costs
//! only its own check, and a hook that a guard does not have costs nothing.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::question::Question;
use super::reply_slots::{ReplySlots, SlotId};
use super::sending::Sending;
use super::trickle::Trickle;
use crate::backend::{Answer, LookupError};
use crate::context::Context;
use crate::metrics::ProgramMetrics;
use crate::plan::LookupId;
use crate::program::Program;
use crate::random::Random;
use crate::value::Value;

/// Stands around the lookups of one event loop.
///
/// For each question that passes [`before`](Guard::before), [`after`](Guard::after) is called exactly once, unless
/// the loop itself ends.
pub(super) trait Guard {
    /// The guard for the lookups of `program`.
    fn new(program: &Arc<Program>, random: &Random, metrics: &ProgramMetrics) -> Self;

    /// Takes over what is known about the stores of `before`, the guard before a reload, that did not change.
    fn take_over(&mut self, _before: &Self) {}

    /// Called when a question comes in.
    fn before<'a>(&'a self, _question: &Question<'a>, _way: Way<'_>) -> Before<'a> {
        Before::Pass
    }

    /// The answer to a question that this guard holds or has joined to another one, and that has run out of time. `None`:
    /// it fails.
    fn late(&self, _question: &Question<'_>) -> Option<Answer> {
        None
    }

    /// Called when a question that this guard let pass has its outcome.
    fn after(&self, _question: &Question<'_>, _outcome: Outcome<'_>) {}
}

/// The way of a question on which a guard stands.
#[derive(Clone, Copy)]
pub(super) struct Way<'w> {
    /// Where answers arrive that the asker waits for.
    pub(super) slots: &'w ReplySlots,
    /// How many guards are outside of what is inside of this one.
    pub(super) outside: u8,
}

/// What is inside of a guard, which may ask it questions of its own.
pub(super) trait Inside {
    /// Asks a question that belongs to no call. Only the guards inside see it. It fails at its deadline; dropping it
    /// cancels it.
    fn ask(
        self: Rc<Self>,
        question: Detached,
    ) -> LocalBoxFuture<'static, Result<Answer, LookupError>>;

    /// Logs a failure that no call has.
    fn log(&self, lookup: LookupId, err: &LookupError);
}

/// A question that belongs to no call.
pub(super) struct Detached {
    pub(super) lookup: LookupId,
    pub(super) params: Rc<[Value]>,
    pub(super) context: Context,
    /// The index in its view of the lookup that asked first.
    pub(super) step: u32,
    /// When it fails. The deadline of its context is later: no call's deadline ends it.
    pub(super) deadline: Instant,
    /// How many guards do not see it.
    pub(super) outside: u8,
    /// Where to say how far it has come.
    pub(super) sending: Rc<Sending>,
}

/// What a guard does with a question.
pub(super) enum Before<'a> {
    /// Lets it pass.
    Pass,
    /// Lets it pass once this has ended well; its answer may then have to arrive slowly. If this fails, the question fails.
    Hold(LocalBoxFuture<'a, Result<Option<Trickle>, LookupError>>),
    /// Answers it immediately, without the store.
    Answer(Result<Answer, LookupError>),
    /// Answers it when this is ready, without the store.
    Later(LocalBoxFuture<'a, Result<Answer, LookupError>>),
    /// Lets it wait for a question that this guard asks. The answer arrives in this slot.
    Joined(SlotId),
}

/// How a question ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// With an answer, which may be that there is nothing.
    Answered(&'a Answer),
    /// With an error. Timeouts are errors: `lookup.timeout`, `call.deadline` and, if the question never reached its
    /// store, `lookup.timeout_pool`.
    Failed(&'a LookupError),
    /// The call ended first. This says nothing about the store.
    Cancelled,
}

impl<'a> From<&'a Result<Answer, LookupError>> for Outcome<'a> {
    fn from(answer: &'a Result<Answer, LookupError>) -> Self {
        match answer {
            Ok(answer) => Outcome::Answered(answer),
            Err(err) => Outcome::Failed(err),
        }
    }
}

/// Makes the `Chain` of the guards in a list: outermost first, each with its type and the reason for its place.
macro_rules! guards {
    ($($(#[cfg($cfg:meta)])? $name:ident: $Guard:ty, $reason:literal;)*) => {
        /// The guards of one event loop, outermost first.
        struct Chain {
            $($(#[cfg($cfg)])? #[doc = $reason] $name: $Guard,)*
        }

        impl Chain {
            fn new(
                program: &std::sync::Arc<$crate::program::Program>,
                random: &$crate::random::Random,
                metrics: &$crate::metrics::ProgramMetrics,
            ) -> Self {
                Chain {
                    $($(#[cfg($cfg)])? $name: chain::Guard::new(program, random, metrics),)*
                }
            }

            fn take_over(&mut self, before: &Chain) {
                $($(#[cfg($cfg)])? chain::Guard::take_over(&mut self.$name, &before.$name);)*
            }

            /// Takes a question inward, past the first `skip` guards. Returns how many guards have let it pass by now,
            /// and what the next one does with it: `Pass` means that there is none.
            #[inline]
            fn before<'a>(
                &'a self,
                skip: u8,
                question: &Question<'a>,
                slots: &ReplySlots,
            ) -> (u8, chain::Before<'a>) {
                let mut passed = 0;
                $($(#[cfg($cfg)])? {
                    if passed >= skip {
                        let way = chain::Way { slots, outside: passed + 1 };
                        let before = chain::Guard::before(&self.$name, question, way);
                        if !matches!(before, chain::Before::Pass) {
                            return (passed, before);
                        }
                        // The usual case needs no drop; this skips the call to it.
                        std::mem::forget(before);
                    }
                    passed += 1;
                })*
                (passed, chain::Before::Pass)
            }

            /// Takes an outcome outward, past the guards that have let the question pass: those at `passed`.
            #[inline]
            fn after(
                &self,
                passed: std::ops::Range<u8>,
                question: &Question<'_>,
                outcome: chain::Outcome<'_>,
            ) {
                let mut place = 0;
                $($(#[cfg($cfg)])? { place += 1; })*
                chain::innermost_first!(
                    self, place, passed, question, outcome; $($(#[cfg($cfg)])? $name)*
                );
            }

            /// The answer of the guard at `place` to a question that has run out of time there.
            #[cold]
            fn late(&self, place: u8, question: &Question<'_>) -> Option<$crate::backend::Answer> {
                let mut at = 0;
                $($(#[cfg($cfg)])? {
                    if at == place {
                        return chain::Guard::late(&self.$name, question);
                    }
                    at += 1;
                })*
                debug_assert!(at <= place, "there is no other guard");
                None
            }
        }
    };
}
pub(super) use guards;

/// Calls `after` of the guards at `passed` in the reverse order of the list. `place` is the number of all.
macro_rules! innermost_first {
    ($chain:ident, $place:ident, $passed:ident, $question:ident, $outcome:ident;) => {};
    ($chain:ident, $place:ident, $passed:ident, $question:ident, $outcome:ident;
        $(#[cfg($cfg:meta)])? $name:ident $($rest:tt)*) => {
        chain::innermost_first!($chain, $place, $passed, $question, $outcome; $($rest)*);
        $(#[cfg($cfg)])? {
            $place -= 1;
            if $passed.contains(&$place) {
                chain::Guard::after(&$chain.$name, $question, $outcome);
            }
        }
    };
}
pub(super) use innermost_first;
