//! Defines what a guard is, and chains guards in the order of a list.
//!
//! The chain is one struct with a field per guard. Calls are static: a guard that does nothing for a question costs
//! only its own check, and a hook that a guard does not have costs nothing.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::question::Question;
use crate::backend::{Answer, LookupError};
use crate::metrics::ProgramMetrics;
use crate::program::Program;
use crate::random::Random;

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
    fn before<'a>(&'a self, _question: &Question<'a>) -> Before<'a> {
        Before::Pass
    }

    /// Called when a question that this guard let pass has its outcome.
    fn after(&self, _question: &Question<'_>, _outcome: Outcome<'_>) {}
}

/// What a guard does with a question.
pub(super) enum Before<'a> {
    /// Lets it pass.
    Pass,
    /// Lets it pass once this has ended well. If this fails, the question fails.
    Hold(LocalBoxFuture<'a, Result<(), LookupError>>),
    /// Answers it immediately, without the store.
    Answer(Result<Answer, LookupError>),
}

/// How a question ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// With an answer, which may be that there is nothing.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the only guard that reads answers is a test's")
    )]
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
            fn before<'a>(&'a self, skip: u8, question: &Question<'a>) -> (u8, chain::Before<'a>) {
                let mut passed = 0;
                $($(#[cfg($cfg)])? {
                    if passed >= skip {
                        match chain::Guard::before(&self.$name, question) {
                            chain::Before::Pass => {}
                            other => return (passed, other),
                        }
                    }
                    passed += 1;
                })*
                (passed, chain::Before::Pass)
            }

            /// Takes an outcome outward, past the guards that have let the question pass: the first `passed`.
            #[inline]
            fn after(&self, passed: u8, question: &Question<'_>, outcome: chain::Outcome<'_>) {
                let mut place = 0;
                $($(#[cfg($cfg)])? { place += 1; })*
                chain::innermost_first!(
                    self, place, passed, question, outcome; $($(#[cfg($cfg)])? $name)*
                );
            }
        }
    };
}
pub(super) use guards;

/// Calls `after` of the first `passed` guards in the reverse order of the list. `place` is their number.
macro_rules! innermost_first {
    ($chain:ident, $place:ident, $passed:ident, $question:ident, $outcome:ident;) => {};
    ($chain:ident, $place:ident, $passed:ident, $question:ident, $outcome:ident;
        $(#[cfg($cfg:meta)])? $name:ident $($rest:tt)*) => {
        chain::innermost_first!($chain, $place, $passed, $question, $outcome; $($rest)*);
        $(#[cfg($cfg)])? {
            $place -= 1;
            if $place < $passed {
                chain::Guard::after(&$chain.$name, $question, $outcome);
            }
        }
    };
}
pub(super) use innermost_first;
