//! Runs the lookups of one call concurrently, under one deadline.
//!
//! In: a [`Plan`], the method's parameters and the call's context. Out: one value per step, in plan order, and the
//! timeline. All lookups run in the call's own task. Nothing is spawned, so dropping the future cancels them. Each time
//! the task wakes, one pass in plan order polls the lookups under way and starts those that have become ready. A step
//! comes after the steps it needs, so it starts in the same pass in which its last input arrives. The call sets one
//! alarm at a time: for the earliest deadline of the lookups under way.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tokio::time::Instant;
use tracing::{Level, Span, debug_span, level_enabled};

use super::clock::Clock;
use super::execution::Execution;
use super::failure::Failure;
use super::start::{Start, UnderWay};
use super::step::CallScope;
use crate::backend::Held;
use crate::context::{Context, Mode};
use crate::error::Code;
use crate::guard::{Alarm, Guards, ReplySlots, Time};
use crate::idl::Schema;
use crate::metrics::{Phase, ViewMetrics};
use crate::offload::drop_elsewhere;
use crate::plan::{Placing, Plan};
use crate::timeline::{Fate, Micros, Source, Timeline, Track};
use crate::value::Value;

/// Runs every step of `plan` to its fate.
pub async fn run(
    plan: &Arc<Plan>,
    schema: &Arc<Schema>,
    guards: &Guards,
    params: &Rc<[Value]>,
    context: &Context,
) -> Execution {
    let scope = CallScope {
        schema,
        guards,
        params,
        context,
    };
    let mut running = Running::new(plan, scope);
    poll_fn(|cx| running.poll(cx)).await;
    running.finish()
}

pub(super) enum State<'a> {
    /// Waits for the steps it needs or, in a serial call, for those before it.
    Waiting,
    /// Under way until `deadline`.
    Asking {
        under_way: UnderWay<'a>,
        deadline: Instant,
    },
    /// Has its fate.
    Settled,
}

impl State<'_> {
    /// The step has its fate.
    #[inline]
    pub(super) fn settle(&mut self) {
        let before = std::mem::replace(self, State::Settled);
        if let State::Asking {
            under_way: UnderWay::One(pending),
            ..
        } = &before
            && pending.is_plain()
        {
            // The usual case needs no drop; this skips the call to it.
            std::mem::forget(before);
        }
    }
}

pub(super) struct Running<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) scope: CallScope<'a>,
    pub(super) metrics: &'a ViewMetrics,
    /// The call's span, the parent of its lookups' spans, if anybody may want these.
    span: Option<Span>,
    /// The spans of the steps under way; empty if nobody wants them.
    pub(super) spans: Vec<Option<Span>>,
    pub(super) states: Vec<State<'a>>,
    /// Where answers of batches arrive.
    pub(super) slots: ReplySlots,
    /// What the merge gets: values fitted to their targets, null where there is none.
    pub(super) values: Vec<Value>,
    pub(super) tracks: Vec<Track>,
    /// Values as the stores sent them, for the steps that refer to them.
    pub(super) kept: Vec<Option<Value>>,
    /// Whether some answer was large.
    pub(super) is_large: bool,
    /// Keeps the memory of large answers counted.
    pub(super) held: Vec<Held>,
    /// How many steps have no fate yet.
    pub(super) open: usize,
    pub(super) failure: Option<Failure>,
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
        };
        Running {
            plan,
            scope,
            metrics,
            span: level_enabled!(Level::DEBUG).then(Span::current),
            spans: Vec::new(),
            states: (0..steps).map(|_| State::Waiting).collect(),
            slots: ReplySlots::with_capacity(steps),
            values: nulls(steps, plan),
            tracks: (0..steps).map(|_| track).collect(),
            kept: vec![None; if plan.referred { steps } else { 0 }],
            is_large: false,
            held: Vec::new(),
            open: steps,
            failure: None,
            alarm: None,
            clock,
        }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
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
    fn advance(&mut self, at: usize, cx: &mut TaskContext<'_>) {
        if matches!(self.states[at], State::Waiting) && self.may_start(at) {
            self.start(at);
            // Nobody has worked on its batch yet.
            if matches!(&self.states[at], State::Asking { under_way, .. } if under_way.is_batched())
            {
                return;
            }
        }
        let State::Asking { under_way, .. } = &mut self.states[at] else {
            return;
        };
        let (answer, covered) = match under_way {
            UnderWay::Fitting(_) => return self.advance_fitting(at, cx),
            UnderWay::One(pending) if pending.is_batched() => {
                (pending.poll(&self.slots, None, cx), None)
            }
            under_way => {
                let span = self.spans.get(at).and_then(Option::as_ref);
                let answer = under_way.poll(&self.plan.steps[at], &self.slots, span, cx);
                // The lookup may have spent time computing.
                self.clock.read();
                (answer, under_way.covered())
            }
        };
        if let Poll::Ready(answer) = answer {
            self.answered(at, answer, covered);
            if !matches!(self.states[at], State::Settled) {
                self.advance_fitting(at, cx);
            }
        }
    }

    /// Polls the conversion of a large answer, if the step waits for that.
    fn advance_fitting(&mut self, at: usize, cx: &mut TaskContext<'_>) {
        if let State::Asking { under_way, .. } = &mut self.states[at]
            && let UnderWay::Fitting(fitting) = under_way
            && let Poll::Ready(fitted) = fitting.poll(cx)
        {
            let covered = fitting.covered;
            self.clock.read();
            self.fitted_elsewhere(at, fitted, covered);
        }
    }

    fn may_start(&self, at: usize) -> bool {
        let settled = |need: &usize| matches!(self.states[*need], State::Settled);
        let ready = self.plan.steps[at].after.iter().all(settled);
        // A serial call runs one step at a time, in plan order.
        ready
            && (self.scope.context.mode == Mode::Evented || (0..at).all(|before| settled(&before)))
    }

    fn start(&mut self, at: usize) {
        let step = &self.plan.steps[at];
        let (now, elapsed) = (self.clock.now, self.clock.elapsed);
        if !step.after.is_empty() {
            let inputs = step.after.iter().map(|&need| self.tracks[need].done).max();
            self.tracks[at].planned = inputs.unwrap_or(elapsed);
        }
        if now >= self.scope.context.deadline {
            return self.no_value(at, Fate::Timeout, Some(Code::CallDeadline));
        }
        let brownouts = self.scope.guards.brownouts();
        if step.drop_below > 0.0 && brownouts.drops(self.plan, step.drop_below) {
            return self.no_value(at, Fate::Shed, Some(Code::LookupShed));
        }
        let call_deadline = self.scope.context.deadline;
        let own = step.timeout.and_then(|timeout| now.checked_add(timeout));
        let deadline = own.map_or(call_deadline, |own| own.min(call_deadline));
        let guards = self.scope.guards;
        let time = Time {
            asked: now,
            deadline,
            allowed: step.allowed,
        };
        let under_way = match step.start(self.scope, &self.kept, time) {
            Start::Settled(fate) => return self.no_value(at, fate, None),
            Start::Unusable(err) => return self.unusable(at, &err),
            Start::One(question) => UnderWay::One(guards.prepare(question)),
            Start::Each(elements) => UnderWay::Each(Box::new(elements)),
        };
        self.states[at] = State::Asking {
            under_way,
            deadline,
        };
        if let State::Asking {
            under_way: UnderWay::One(pending),
            ..
        } = &mut self.states[at]
            && let Some(answer) = pending.ask(&self.slots)
        {
            return self.answered(at, answer, None);
        }
        self.tracks[at].started = Some(elapsed);
        if self.span.is_some() {
            self.open_span(at);
        }
    }

    /// Opens the span of a step that is under way now.
    #[cold]
    fn open_span(&mut self, at: usize) {
        let step = &self.plan.steps[at];
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
            State::Asking { deadline, .. } => Some(*deadline),
            _ => None,
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
            match &mut self.states[at] {
                State::Asking {
                    under_way,
                    deadline,
                    ..
                } if *deadline <= self.clock.now => {
                    let answer = under_way.time_out(&self.plan.steps[at], &self.slots);
                    let covered = under_way.covered();
                    self.answered(at, answer, covered);
                }
                _ => {}
            }
        }
        if self.failure.is_some() {
            self.cancel_rest();
        }
    }

    fn finish(mut self) -> Execution {
        if self.is_large {
            drop_elsewhere(std::mem::take(&mut self.kept));
        }
        let timeline = Timeline {
            mode: self.scope.context.mode,
            lanes: Arc::clone(&self.plan.lanes),
            tracks: std::mem::take(&mut self.tracks),
            elapsed: self.clock.elapsed,
        };
        Execution {
            values: std::mem::take(&mut self.values),
            timeline,
            failure: self.failure.take(),
            is_large: self.is_large,
            held: std::mem::take(&mut self.held),
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
        for (at, state) in self.states.iter_mut().enumerate() {
            if let State::Asking { under_way, .. } = state {
                under_way.cancel(&self.slots);
            }
            if !matches!(state, State::Settled) {
                self.metrics
                    .settled(at, Fate::Cancelled, Source::None, None);
            }
        }
    }
}
