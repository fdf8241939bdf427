//! Asks what `else` of a lookup names when the lookup fails, before its default is used.
//!
//! Each has its own timeout within what is left of the call. A call whose time is over asks nothing.

use super::attempt::{asked, may_differ};
use super::run::Running;
use super::start::Start;
use crate::backend::LookupError;
use crate::plan::Step;
use crate::timeline::{Micros, Source};

impl<'a> Running<'a> {
    /// What is under way for the step at `at`.
    pub(super) fn asked(&self, at: usize) -> &'a Step {
        asked(self.plan, &self.tracks[at], at)
    }

    /// Asks the next one of the step's `else`, if that may help against `err`. Returns whether the step has been taken care of.
    #[cold]
    pub(super) fn fall_back(&mut self, at: usize, err: &LookupError) -> bool {
        if !may_differ(err.code) || self.clock.now >= self.scope.context.deadline {
            return false;
        }
        let mut nth = self.tracks[at].fallback;
        let mut next = self.asked(at).fallback.as_deref();
        while let Some(step) = next {
            nth = Some(nth.map_or(0, |nth| nth.saturating_add(1)));
            let time = step.time(at, self.clock.now, self.scope.context.deadline);
            let start = step.start(self.scope, &self.kept, time);
            if !matches!(start, Start::Settled(_)) {
                self.turn_to_fallback(at, nth, err);
                match start {
                    Start::Settled(_) => {}
                    Start::Unusable(err) => self.unusable(at, &err),
                    Start::Asks(asks) => self.ask(at, asks),
                }
                return true;
            }
            // An input that it takes has no value.
            next = step.fallback.as_deref();
        }
        false
    }

    /// Ends what was under way for a step with `err`, and notes what is asked instead.
    fn turn_to_fallback(&mut self, at: usize, nth: Option<u8>, err: &LookupError) {
        self.metrics.failed(at, err.code);
        let ran = self
            .started_last(at)
            .map(|started| self.clock.elapsed.minus(started));
        let track = &mut self.tracks[at];
        let before = track.fallback;
        self.metrics.fell_back(at, before, track.source, ran);
        track.first_code.get_or_insert(err.code);
        track.fallback = nth;
        track.started.get_or_insert(self.clock.elapsed);
        (track.first_answer, track.source, track.age) = (None, Source::None, None);
        if let Some(endpoints) = &mut self.endpoints {
            endpoints.forget(at);
        }
        self.fallbacks_started
            .resize(self.states.len(), Micros::ZERO);
        self.fallbacks_started[at] = self.clock.elapsed;
    }

    /// When what is under way for a step was started.
    fn started_last(&self, at: usize) -> Option<Micros> {
        match self.tracks[at].fallback {
            None => self.tracks[at].started,
            Some(_) => self.fallbacks_started.get(at).copied(),
        }
    }

    /// Counts the fate of a step instead of which something else was asked.
    #[cold]
    pub(super) fn count_fallback(&self, at: usize) {
        let track = &self.tracks[at];
        if let (Some(nth), Some(started)) = (track.fallback, self.started_last(at)) {
            let ran = self.clock.elapsed.minus(started);
            self.metrics
                .settled_by((at, nth), (track.fate, track.code), track.source, ran);
        }
    }
}
