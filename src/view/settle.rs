//! Gives the lookups of a running call their fates: for an answer, a failure, a default, or the end of the call.
//!
//! [`super::run`] decides when. This file decides the fate of the step, and the fate of the call if a required step has
//! no value.

use std::task::{Context as TaskContext, Poll};

use tokio::time::Instant;

use super::failure::Failure;
use super::inputs::Copied;
use super::large::{Fitted, Fitting, Kept, has_long_text};
use super::run::{Running, State};
use super::start::{Asks, UnderWay};
use crate::backend::{Answer, LookupError};
use crate::coerce::LeftOut;
use crate::error::Code;
use crate::guard::Time;
use crate::metrics::Phase;
use crate::timeline::{AskedEndpoints, Fate};
use crate::value::Value;

/// The fate of a step with an answer. `covered` is the first failure that a default covers within it.
fn fate_of(covered: Option<Code>) -> Fate {
    if covered.is_some() {
        Fate::Default
    } else {
        Fate::Ok
    }
}

impl Running<'_> {
    /// A step has its answer. `covered` is the first failure that a default covers within it.
    #[inline]
    pub(super) fn answered(
        &mut self,
        at: usize,
        answer: Result<Answer, LookupError>,
        covered: Option<Code>,
    ) {
        let step = &self.plan.steps[at];
        let answer = match answer {
            Ok(answer) => answer,
            Err(err) => return self.failed(at, &err),
        };
        let first = answer.first_answer.map(|first| self.clock.micros_at(first));
        let track = &mut self.tracks[at];
        (track.first_answer, track.source, track.age) = (first, answer.source, answer.age);
        track.mates = answer.mates;
        let is_plain = !answer.is_large && answer.bulk.is_none() && !step.referred;
        if is_plain && step.takes(&answer.value) {
            // The usual case.
            self.values[at].fill(answer.value);
            return self.settle(at, fate_of(covered), covered);
        }
        self.convert(at, answer, covered);
    }

    /// Converts the value of an answer to the type of its target.
    fn convert(&mut self, at: usize, answer: Answer, covered: Option<Code>) {
        if let Some(asked) = answer.endpoints() {
            self.asked_endpoints(at, asked);
        }
        let step = self.asked(at);
        if answer.value.is_null() {
            return self.no_value(at, Fate::Empty, None);
        }
        let fate = fate_of(covered);
        self.is_large |= answer.is_large;
        let held = answer.held();
        if !held.is_nothing() {
            self.held.push(held);
        }
        let Answer {
            value, is_large, ..
        } = answer;
        if is_large {
            return self.fit_elsewhere(at, value, covered);
        }
        if step.referred {
            self.kept[at] = Some(Kept::Small(value.clone()));
        }
        if step.takes(&value) {
            self.values[at].fill(value);
            return self.settle(at, fate, covered);
        }
        if has_long_text(&value) {
            return self.fit_elsewhere(at, value, covered);
        }
        let metrics = self.scope.guards.metrics();
        metrics.turn_to(Phase::Answer, self.plan.index, at);
        let left_out = LeftOut::default();
        let value = step.fit(self.scope.schema, value, &left_out);
        self.fitted(at, value, left_out.into_first(), covered);
    }

    #[cold]
    fn fit_elsewhere(&mut self, at: usize, value: Value, covered: Option<Code>) {
        let (plan, of_step) = ((self.plan, self.scope.schema), (at, self.tracks[at]));
        if let Some(under_way) = self.under_way(at) {
            let fitting = Fitting::start(plan, of_step, value, (covered, under_way.deadline()));
            *under_way = UnderWay::Fitting(Box::new(fitting));
        }
    }

    /// A large value was fitted on another thread.
    pub(super) fn fitted_elsewhere(
        &mut self,
        at: usize,
        fitted: Result<Fitted, LookupError>,
        covered: Option<Code>,
    ) {
        match fitted {
            Ok(fitted) => {
                if let Some(kept) = self.kept.get_mut(at) {
                    *kept = fitted.kept;
                }
                self.fitted(at, fitted.value, fitted.left_out, covered);
            }
            Err(err) => self.failed(at, &err),
        }
    }

    fn fitted(
        &mut self,
        at: usize,
        value: Result<Value, String>,
        left_out: Option<String>,
        covered: Option<Code>,
    ) {
        match value {
            Ok(value) => {
                if let Some(why) = left_out {
                    let lookup = self.asked(at).lookup;
                    self.scope.guards.log_left_out(lookup, &why);
                }
                self.values[at] = value;
                self.settle(at, fate_of(covered), covered);
            }
            Err(why) => {
                self.forget(at);
                self.unusable(at, &LookupError::new(Code::MergeType, why));
            }
        }
    }

    /// Fails a step that can't be asked with its inputs, or whose answer does not fit.
    pub(super) fn unusable(&mut self, at: usize, err: &LookupError) {
        let lookup = self.asked(at).lookup;
        self.scope.guards.log_unusable(lookup, err);
        self.failed(at, err);
    }

    /// Notes which endpoints a step got its answer or its error from.
    #[cold]
    fn asked_endpoints(&mut self, at: usize, asked: &AskedEndpoints<Instant>) {
        let asked = asked.converted(|at| self.clock.micros_at(*at));
        let endpoints = self.endpoints.get_or_insert_default();
        endpoints.note(at, asked);
    }

    pub(super) fn failed(&mut self, at: usize, err: &LookupError) {
        if let Some(asked) = &err.endpoints {
            self.asked_endpoints(at, asked);
        }
        if self.plan.steps[at].fallback.is_some() && self.fall_back(at, err) {
            return;
        }
        let fate = match err.code {
            Code::LookupTimeout | Code::CallDeadline => Fate::Timeout,
            Code::LookupTimeoutPool | Code::LookupWaited => Fate::TimeoutPool,
            Code::LookupBreakerOpen => Fate::BreakerOpen,
            Code::LookupShed => Fate::Shed,
            _ => Fate::Error,
        };
        self.no_value(at, fate, Some(err.code));
        if let Some(failure) = &mut self.failure {
            failure.hear(at, err, self.tracks[at].first_code);
        }
    }

    /// Uses the step's default if it has one for this fate. Otherwise the fate stands.
    pub(super) fn no_value(&mut self, at: usize, fate: Fate, code: Option<Code>) {
        let step = &self.plan.steps[at];
        let covered = match fate {
            Fate::Empty => true,
            // If `when` does not hold, neither the lookup nor its default is wanted.
            Fate::Skipped | Fate::Cancelled => false,
            _ => !step.default_on_empty,
        };
        let default = step
            .default
            .clone()
            .filter(|_| covered && step.foreach.is_none());
        let Some(default) = default else {
            return self.settle(at, fate, code);
        };
        if step.referred {
            self.kept[at] = Some(Kept::Small(default.clone()));
        }
        match step.fit(self.scope.schema, default, &LeftOut::default()) {
            Ok(value) => {
                self.values[at] = value;
                self.settle(at, Fate::Default, code);
            }
            Err(_) => {
                self.forget(at);
                self.settle(at, Fate::Error, Some(Code::MergeType));
            }
        }
    }

    /// A value that does not fit does not count, for other steps either.
    fn forget(&mut self, at: usize) {
        if let Some(kept) = self.kept.get_mut(at) {
            *kept = None;
        }
    }

    /// Gives the step its one fate.
    pub(super) fn settle(&mut self, at: usize, fate: Fate, code: Option<Code>) {
        debug_assert!(self.states[at] != State::Settled, "a step has one fate");
        let done = self.clock.elapsed;
        self.end(at);
        if let Some(span) = self.spans.get_mut(at) {
            *span = None;
        }
        self.open -= 1;
        let track = &mut self.tracks[at];
        (track.done, track.fate, track.code) = (done, fate, code);
        if track.started.is_none() {
            track.planned = track.planned.min(done);
        }
        if track.fallback.is_some() {
            self.count_fallback(at);
        } else {
            let ran = track.started.map(|started| done.minus(started));
            self.metrics.settled(at, fate, track.source, ran);
        }
        if let Some(code) = code
            && fate != Fate::Cancelled
        {
            self.metrics.failed(at, code);
        }
        // A required lookup whose `when` does not hold is not needed.
        let missed = !matches!(
            fate,
            Fate::Ok | Fate::Default | Fate::Skipped | Fate::Cancelled
        );
        if self.plan.steps[at].required && missed && self.failure.is_none() {
            let (of, params) = ((&**self.plan, &**self.scope.schema), self.scope.params);
            self.failure = Some(Box::new(Failure::of(of, &self.tracks, params, at)));
        }
    }

    pub(super) fn cancel_rest(&mut self) {
        for at in 0..self.states.len() {
            if let State::Asking(nth) = self.states[at]
                && let Some(under_way) = &mut self.under_way[nth]
            {
                under_way.cancel(&self.slots);
            }
            if self.states[at] != State::Settled {
                self.settle(at, Fate::Cancelled, Some(Code::LookupCancelled));
            }
        }
    }
}

impl<'a> Running<'a> {
    /// Polls the work on large inputs or on a large answer of a step. Returns whether that has ended.
    pub(super) fn advance_large(&mut self, at: usize, cx: &mut TaskContext<'_>) -> bool {
        match self.under_way(at) {
            Some(UnderWay::Copying(inputs)) => {
                let Poll::Ready(copied) = inputs.poll(cx) else {
                    return false;
                };
                let time = inputs.time;
                self.clock.read();
                self.copied(at, copied, time);
            }
            Some(UnderWay::Fitting(fitting)) => {
                let Poll::Ready(fitted) = fitting.poll(cx) else {
                    return false;
                };
                let covered = fitting.covered;
                self.clock.read();
                self.fitted_elsewhere(at, fitted, covered);
            }
            _ => return false,
        }
        true
    }

    /// Asks the questions of a step whose inputs were copied.
    fn copied(&mut self, at: usize, copied: Result<Copied<'a>, LookupError>, time: Time) {
        let Copied { mut params, keys } = match copied {
            Ok(copied) => copied,
            Err(err) => return self.failed(at, &err),
        };
        let step = self.asked(at);
        if step.foreach.is_some() {
            let elements = step.ask_each(self.scope, params.into_iter(), keys, time);
            self.ask(at, Asks::Each(elements));
        } else if let Some(params) = params.pop() {
            let question = step.question_of(params, self.scope, time);
            self.ask(at, Asks::One(question));
        }
    }
}
