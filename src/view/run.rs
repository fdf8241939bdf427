//! Runs the lookups of one call concurrently, under one deadline.
//!
//! In: a [`Plan`], the method's parameters and the call's context. Out: one value per step, in plan order, and the
//! timeline. All lookups run in the call's own task. Nothing is spawned, so dropping the future cancels them. Each time
//! the task wakes, one pass in plan order polls the lookups under way and starts those that have become ready. A step
//! comes after the steps it needs, so it starts in the same pass in which its last input arrives. The call sets one
//! alarm at a time: for the earliest deadline of the lookups under way.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use tracing::{Level, Span, debug_span, level_enabled};

use super::attempt::asked;
use super::clock::Clock;
use super::execution::Execution;
use super::failure::Failure;
use super::large::Kept;
use super::start::{Asks, Start, UnderWay};
use super::step::CallScope;
use crate::backend::Held;
use crate::context::{Context, Mode};
use crate::error::Code;
use crate::guard::{Alarm, Guards, Params, Question, ReplySlots};
use crate::idl::Schema;
use crate::metrics::{Phase, ViewMetrics};
use crate::offload::drop_elsewhere;
use crate::plan::{Placing, Plan};
use crate::timeline::{Endpoints, Fate, Micros, Source, Timeline, Track};
use crate::value::Value;

/// Runs every step of `plan` to its fate.
pub fn run<'a>(
    plan: &'a Arc<Plan>,
    schema: &'a Arc<Schema>,
    guards: &'a Guards,
    params: &'a Rc<[Value]>,
    context: &'a Context,
) -> impl Future<Output = Execution> {
    Running::new(
        plan,
        CallScope {
            schema,
            guards,
            params,
            context,
        },
    )
}

impl Future for Running<'_> {
    type Output = Execution;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Execution> {
        let running = self.get_mut();
        ready!(running.advance_all(cx));
        Poll::Ready(running.finish())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for the steps it needs or, in a serial call, for those before it.
    Waiting,
    /// Under way, at this place in [`Running::under_way`].
    Asking(usize),
    /// Has its fate.
    Settled,
}

pub(super) struct Running<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) scope: CallScope<'a>,
    pub(super) metrics: &'a ViewMetrics,
    /// The call's span, the parent of its lookups' spans, if anybody may want these.
    span: Option<Span>,
    /// The spans of the steps under way; empty if they are not recorded.
    pub(super) spans: Vec<Option<Span>>,
    pub(super) states: Vec<State>,
    /// The steps that were started, in the order of their starts; `None` once such a step has its fate.
    pub(super) under_way: Vec<Option<UnderWay<'a>>>,
    /// Where answers of batches arrive.
    pub(super) slots: ReplySlots,
    /// What the merge gets: values fitted to their targets, null where there is none.
    pub(super) values: Vec<Value>,
    pub(super) tracks: Vec<Track>,
    /// Values as the stores sent them, for the steps that refer to them.
    pub(super) kept: Vec<Option<Kept>>,
    /// Which endpoints were asked, by step. Most backends have none.
    pub(super) endpoints: Option<Box<Endpoints>>,
    /// Whether some answer was large.
    pub(super) is_large: bool,
    /// Keeps the memory of large answers counted.
    pub(super) held: Vec<Held>,
    /// How many steps have no fate yet.
    pub(super) open: usize,
    pub(super) failure: Option<Box<Failure>>,
    /// When what is asked instead of each step was started; empty if nothing is.
    pub(super) fallbacks_started: Vec<Micros>,
    alarm: Option<Alarm>,
    pub(super) clock: Clock,
}

impl<'a> Running<'a> {
    fn new(plan: &'a Arc<Plan>, scope: CallScope<'a>) -> Self {
        let clock = Clock::new(scope.context.arrived);
        let steps = plan.steps.len();
        let metrics = scope.guards.metrics().view(plan.index);
        metrics.planned();
        let track = Track {
            planned: clock.elapsed,
            started: None,
            first_answer: None,
            done: Micros::ZERO,
            fate: Fate::Cancelled,
            code: None,
            source: Source::None,
            age: None,
            mates: 0,
            fallback: None,
            first_code: None,
        };
        Running {
            plan,
            scope,
            metrics,
            span: level_enabled!(Level::DEBUG).then(Span::current),
            spans: Vec::new(),
            states: vec![State::Waiting; steps],
            under_way: Vec::with_capacity(steps),
            slots: ReplySlots::with_capacity(steps),
            values: nulls(steps, plan),
            tracks: (0..steps).map(|_| track).collect(),
            kept: vec![None; if plan.referred { steps } else { 0 }],
            endpoints: None,
            is_large: false,
            held: Vec::new(),
            open: steps,
            failure: None,
            fallbacks_started: Vec::new(),
            alarm: None,
            clock,
        }
    }

    /// Makes one pass, and further ones while deadlines pass.
    #[inline]
    fn advance_all(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.clock.pass();
        let metrics = self.scope.guards.metrics();
        metrics.turn_to(Phase::View, self.plan.index, 0);
        loop {
            for at in 0..self.states.len() {
                self.advance(at, cx);
                if self.failure.is_some() {
                    self.cancel_rest();
                }
            }
            if self.open == 0 {
                return Poll::Ready(());
            }
            if self.wait(cx).is_pending() {
                metrics.turn_away();
                return Poll::Pending;
            }
            self.time_out();
        }
    }

    /// Starts or polls one step.
    #[inline]
    fn advance(&mut self, at: usize, cx: &mut TaskContext<'_>) {
        if self.states[at] == State::Settled {
            return;
        }
        if self.states[at] == State::Waiting {
            if !self.may_start(at) {
                return;
            }
            self.start(at);
            // Its batch has not been worked on yet.
            if self.under_way(at).is_none_or(|step| step.is_batched()) {
                return;
            }
        }
        let State::Asking(nth) = self.states[at] else {
            return;
        };
        match &mut self.under_way[nth] {
            Some(UnderWay::One(pending)) if pending.is_batched() => {
                // The usual case.
                if let Poll::Ready(answer) = pending.poll(&self.slots, None, cx) {
                    self.answered(at, answer, None);
                    self.advance_further(at, cx);
                }
            }
            _ => self.advance_alone(at, cx),
        }
    }

    /// Polls a step that waits for more than an answer of a batch.
    fn advance_alone(&mut self, at: usize, cx: &mut TaskContext<'_>) {
        let State::Asking(nth) = self.states[at] else {
            return;
        };
        let Some(under_way) = &mut self.under_way[nth] else {
            return;
        };
        if matches!(under_way, UnderWay::Copying(_) | UnderWay::Fitting(_)) {
            if self.advance_large(at, cx) {
                self.advance_further(at, cx);
            }
            return;
        }
        let span = self.spans.get(at).and_then(Option::as_ref);
        let step = asked(self.plan, &self.tracks[at], at);
        let answer = under_way.poll(step, &self.slots, span, cx);
        let covered = under_way.covered();
        // The lookup may have spent time computing.
        self.clock.read();
        if let Poll::Ready(answer) = answer {
            self.answered(at, answer, covered);
            self.advance_further(at, cx);
        }
    }

    /// Polls what a step waits for whose answer has just arrived: nearly always nothing, otherwise a conversion, or another
    /// answer.
    #[inline]
    fn advance_further(&mut self, at: usize, cx: &mut TaskContext<'_>) {
        // A batch that it has just joined has not been worked on yet.
        if self.states[at] != State::Settled
            && self.under_way(at).is_some_and(|step| !step.is_batched())
        {
            self.advance_alone(at, cx);
        }
    }

    /// What is under way for a step.
    #[inline]
    pub(super) fn under_way(&mut self, at: usize) -> Option<&mut UnderWay<'a>> {
        match self.states[at] {
            State::Asking(nth) => self.under_way[nth].as_mut(),
            State::Waiting | State::Settled => None,
        }
    }

    /// Ends what is under way for a step, which has its fate.
    #[inline]
    pub(super) fn end(&mut self, at: usize) {
        if let State::Asking(nth) = std::mem::replace(&mut self.states[at], State::Settled)
            && !matches!(&self.under_way[nth], Some(UnderWay::One(pending)) if pending.is_plain())
        {
            // In the usual case nothing has to be dropped.
            self.under_way[nth] = None;
        }
    }

    fn may_start(&self, at: usize) -> bool {
        let settled = |need: &usize| self.states[*need] == State::Settled;
        let ready = self.plan.steps[at].after.iter().all(settled);
        // A serial call runs one step at a time, in plan order.
        ready
            && (self.scope.context.mode == Mode::Evented || (0..at).all(|before| settled(&before)))
    }

    fn start(&mut self, at: usize) {
        let step = &self.plan.steps[at];
        if !step.after.is_empty() {
            let inputs = step.after.iter().map(|&need| self.tracks[need].done).max();
            self.tracks[at].planned = inputs.unwrap_or(self.clock.elapsed);
        }
        if self.clock.now >= self.scope.context.deadline {
            return self.no_value(at, Fate::Timeout, Some(Code::CallDeadline));
        }
        let brownouts = self.scope.guards.brownouts();
        if step.drop_below > 0.0 && brownouts.drops(self.plan, step.drop_below) {
            return self.no_value(at, Fate::Shed, Some(Code::LookupShed));
        }
        let time = step.time(at, self.clock.now, self.scope.context.deadline);
        if let Some(param) = step.only_param {
            // The usual case.
            let params = Params::OfCall(self.scope.params, param);
            return self.ask_one(at, step.question_of(params, self.scope, time));
        }
        match step.start(self.scope, &self.kept, time) {
            Start::Settled(fate) => self.no_value(at, fate, None),
            Start::Unusable(err) => self.unusable(at, &err),
            Start::Asks(asks) => self.ask(at, asks),
        }
    }

    /// Asks the question of a step, or waits for those of its elements.
    pub(super) fn ask(&mut self, at: usize, asks: Asks<'a>) {
        match asks {
            Asks::One(question) => self.ask_one(at, question),
            Asks::Each(elements) => {
                self.scope
                    .guards
                    .saw_elements(self.plan, at, elements.count());
                let elements = UnderWay::Each(Box::new(elements));
                self.prepare(at);
                self.under_way.push(Some(elements));
                self.started(at);
            }
            Asks::Later(inputs) => {
                self.prepare(at);
                self.under_way.push(Some(UnderWay::Copying(inputs)));
            }
        }
    }

    #[inline]
    fn ask_one(&mut self, at: usize, question: Question<'a>) {
        self.prepare(at);
        // Made in its place: to move it would cost more.
        let pending = self.scope.guards.prepare(question);
        self.under_way.push(Some(UnderWay::One(pending)));
        if let Some(Some(UnderWay::One(pending))) = self.under_way.last_mut()
            && let Some(answer) = pending.ask(&self.slots)
        {
            return self.answered(at, answer, None);
        }
        self.started(at);
    }

    /// A step waits for what is put under way next.
    #[inline]
    fn prepare(&mut self, at: usize) {
        let next = State::Asking(self.under_way.len());
        if let State::Asking(nth) = std::mem::replace(&mut self.states[at], next) {
            // It asked before, and now asks something else.
            self.under_way[nth] = None;
        }
    }

    /// A step is under way now.
    #[inline]
    fn started(&mut self, at: usize) {
        self.tracks[at].started.get_or_insert(self.clock.elapsed);
        if self.span.is_some() {
            self.open_span(at);
        }
    }

    /// Opens the span of a step that is under way now.
    #[cold]
    fn open_span(&mut self, at: usize) {
        let step = self.asked(at);
        let span = debug_span!(
            parent: self.span.as_ref().and_then(Span::id), "lookup",
            lookup = &*step.name, backend = &*step.backend,
        );
        if !span.is_disabled() {
            self.spans.resize(self.states.len(), None);
            self.spans[at] = Some(span);
        }
    }

    /// Ready if the earliest deadline of the lookups under way has passed. Otherwise the call will be woken then, or when an
    /// answer arrives.
    fn wait(&mut self, cx: &TaskContext<'_>) -> Poll<()> {
        let asking = self.states.iter().filter_map(|state| match state {
            State::Asking(nth) => Some(self.under_way[*nth].as_ref()?.deadline()),
            State::Waiting | State::Settled => None,
        });
        let earliest = asking.min().unwrap_or(self.scope.context.deadline);
        if earliest <= self.clock.now {
            return Poll::Ready(());
        }
        self.slots.watch(cx);
        match &self.alarm {
            Some(alarm) => alarm.reset(earliest, cx),
            None => self.alarm = Some(self.scope.guards.deadlines().set(earliest, cx)),
        }
        Poll::Pending
    }

    fn time_out(&mut self) {
        self.clock.read();
        for at in 0..self.states.len() {
            let State::Asking(nth) = self.states[at] else {
                continue;
            };
            if let Some(under_way) = &mut self.under_way[nth]
                && under_way.deadline() <= self.clock.now
            {
                let step = asked(self.plan, &self.tracks[at], at);
                let answer = under_way.time_out(step, &self.slots);
                let covered = under_way.covered();
                self.answered(at, answer, covered);
            }
        }
        if self.failure.is_some() {
            self.cancel_rest();
        }
    }

    /// The result. It is taken out in place: to move all of this first would cost more.
    fn finish(&mut self) -> Execution {
        if self.is_large {
            drop_elsewhere(std::mem::take(&mut self.kept));
        }
        let timeline = Timeline {
            mode: self.scope.context.mode,
            lanes: Arc::clone(&self.plan.lanes),
            tracks: std::mem::take(&mut self.tracks),
            elapsed: self.clock.elapsed,
            endpoints: self.endpoints.take(),
        };
        Execution {
            values: std::mem::take(&mut self.values),
            timeline,
            failure: self.failure.take(),
            is_large: self.is_large,
            held: Held::several(std::mem::take(&mut self.held).into_iter()),
        }
    }
}

/// A null per step, with room for the fields of the reply.
fn nulls(steps: usize, plan: &Plan) -> Vec<Value> {
    let fields = plan.placing.as_ref().map_or(0, Placing::fields);
    let mut values = Vec::with_capacity(steps.max(fields));
    values.resize_with(steps, Value::default);
    values
}

impl Drop for Running<'_> {
    /// A call that is dropped halfway, as when its client disconnects, cancels what is still open.
    fn drop(&mut self) {
        if self.open == 0 {
            return;
        }
        for at in 0..self.states.len() {
            if let State::Asking(nth) = self.states[at]
                && let Some(under_way) = &mut self.under_way[nth]
            {
                under_way.cancel(&self.slots);
            }
            if self.states[at] != State::Settled {
                self.metrics
                    .settled(at, Fate::Cancelled, Source::None, None);
                if let Some(nth) = self.tracks[at].fallback {
                    self.metrics.fallback_cancelled(at, nth);
                }
            }
        }
        if self.is_large {
            // What is being copied of them comes first: whoever is last drops them.
            self.under_way.clear();
            drop_elsewhere((
                std::mem::take(&mut self.kept),
                std::mem::take(&mut self.values),
            ));
        }
    }
}
