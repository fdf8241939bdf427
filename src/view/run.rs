//! Runs the lookups of one call at the same time, under one deadline.
//!
//! In: a [`Plan`], the method's parameters and the call's context. Out: one value per step, in plan order,
//! and the timeline. All lookups live in the call's own task: nothing is spawned, so dropping the future
//! cancels them. Each time the task wakes, one pass in plan order polls what is on its way and starts what has
//! become ready; since a step stands after those it needs, a dependent starts in the very pass in which
//! its last input arrives. The call has one deadline at a time, the earliest of what is on its way.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tokio::time::Instant;
use tracing::{Span, debug_span};

use super::clock::Clock;
use super::failure::Failure;
use super::outcome::Ran;
use super::step::{Sight, Start};
use crate::backend::LookupError;
use crate::context::{Context, Mode};
use crate::error::Code;
use crate::guard::{Alarm, Asking, Guards, Seats, no_turn};
use crate::idl::Schema;
use crate::metrics::ViewMetrics;
use crate::plan::Plan;
use crate::timeline::{Fate, Micros, Source, Timeline, Track};
use crate::value::Value;

/// Runs every step of `plan` to its fate.
pub async fn run(
    plan: &Plan,
    schema: &Schema,
    guards: &Guards,
    params: &Rc<[Value]>,
    context: &Context,
) -> Ran {
    let sight = Sight {
        schema,
        guards,
        params,
        context,
    };
    let mut running = Running::new(plan, sight);
    poll_fn(|cx| running.poll(cx)).await;
    running.finish()
}

pub(super) enum State<'a> {
    /// Waits for the steps it needs, or for its turn.
    Waiting,
    /// On its way until `deadline`.
    Asking {
        asking: Asking<'a>,
        deadline: Instant,
        /// If anybody looks at it.
        span: Option<Box<Span>>,
    },
    /// Has its fate.
    Settled,
}

pub(super) struct Running<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sight: Sight<'a>,
    pub(super) metrics: &'a ViewMetrics,
    /// The call's span, so that lookups are its children whatever task polls them.
    span: Span,
    pub(super) states: Vec<State<'a>>,
    /// Where lookups wait that travel with those of other calls.
    pub(super) seats: Seats,
    /// What the merge gets: fitted, null where there is none.
    pub(super) values: Vec<Value>,
    pub(super) tracks: Vec<Track>,
    /// As they came, for the steps that refer to them.
    pub(super) kept: Vec<Option<Value>>,
    pub(super) open: usize,
    pub(super) failure: Option<Failure>,
    alarm: Option<Alarm>,
    pub(super) clock: Clock,
}

impl<'a> Running<'a> {
    fn new(plan: &'a Plan, sight: Sight<'a>) -> Self {
        let clock = Clock::new(sight.context.arrived);
        let steps = plan.steps.len();
        let metrics = sight.guards.metrics().view(plan.index);
        metrics.planned();
        let track = Track {
            planned: clock.since,
            started: None,
            first_answer: None,
            done: Micros::ZERO,
            fate: Fate::Cancelled,
            code: None,
            source: Source::None,
        };
        Running {
            plan,
            sight,
            metrics,
            span: Span::current(),
            states: (0..steps).map(|_| State::Waiting).collect(),
            seats: Seats::with_room(steps),
            values: (0..steps).map(|_| Value::Null).collect(),
            tracks: (0..steps).map(|_| track).collect(),
            kept: vec![None; if plan.referred { steps } else { 0 }],
            open: steps,
            failure: None,
            alarm: None,
            clock,
        }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.clock.pass();
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
                return Poll::Pending;
            }
            self.time_out();
        }
    }

    /// Starts or polls one step.
    fn advance(&mut self, at: usize, cx: &mut TaskContext<'_>) {
        if matches!(self.states[at], State::Waiting) && self.may_start(at) {
            self.start(at);
            if matches!(
                &self.states[at],
                State::Asking {
                    asking: Asking::Batched(_),
                    ..
                }
            ) {
                // It goes on its way after this turn.
                return;
            }
        }
        let State::Asking { asking, span, .. } = &mut self.states[at] else {
            return;
        };
        let answer = match asking {
            Asking::Batched(seat) => self.seats.take_answer(*seat),
            Asking::Alone(asking) => {
                let entered = span.as_ref().map(|span| span.enter());
                let polled = asking.as_mut().poll(cx);
                drop(entered);
                // It may have computed its answer just now.
                self.clock.read();
                match polled {
                    Poll::Ready(answer) => Some(answer),
                    Poll::Pending => None,
                }
            }
        };
        if let Some(answer) = answer {
            self.answered(at, answer);
        }
    }

    fn may_start(&self, at: usize) -> bool {
        let settled = |need: &usize| matches!(self.states[*need], State::Settled);
        let ready = self.plan.steps[at].after.iter().all(settled);
        // One at a time: everything before it in the plan has its fate.
        ready
            && (self.sight.context.mode == Mode::Evented || (0..at).all(|before| settled(&before)))
    }

    fn start(&mut self, at: usize) {
        let step = &self.plan.steps[at];
        let (now, since) = (self.clock.now, self.clock.since);
        if !step.after.is_empty() {
            let inputs = step.after.iter().map(|&need| self.tracks[need].done).max();
            self.tracks[at].planned = inputs.unwrap_or(since);
        }
        if now >= self.sight.context.deadline {
            return self.no_value(at, Fate::Timeout, Some(Code::CallDeadline));
        }
        let call_deadline = self.sight.context.deadline;
        let own = step.timeout.and_then(|timeout| now.checked_add(timeout));
        let deadline = own.map_or(call_deadline, |own| own.min(call_deadline));
        match step.start(self.sight, &self.kept, deadline, &self.seats) {
            Start::Settled(fate) => self.no_value(at, fate, None),
            Start::Failed(err) => self.failed(at, &err),
            Start::Ask(asking) => {
                self.tracks[at].started = Some(since);
                let span = debug_span!(
                    parent: &self.span, "lookup",
                    lookup = &*step.name, backend = &*step.backend,
                );
                self.states[at] = State::Asking {
                    asking,
                    deadline,
                    span: (!span.is_disabled()).then(|| Box::new(span)),
                };
            }
        }
    }

    /// Ready when the earliest deadline of what is on its way has passed; otherwise wakes the call then, or when an answer
    /// comes.
    fn wait(&mut self, cx: &TaskContext<'_>) -> Poll<()> {
        let asking = self.states.iter().filter_map(|state| match state {
            State::Asking { deadline, .. } => Some(*deadline),
            _ => None,
        });
        let earliest = asking.min().unwrap_or(self.sight.context.deadline);
        if earliest <= self.clock.now {
            return Poll::Ready(());
        }
        self.seats.watch(cx);
        match &self.alarm {
            Some(alarm) => alarm.reset(earliest, cx),
            None => self.alarm = Some(self.sight.guards.deadlines().set(earliest, cx)),
        }
        Poll::Pending
    }

    fn time_out(&mut self) {
        self.clock.read();
        for at in 0..self.states.len() {
            let State::Asking {
                deadline, asking, ..
            } = &self.states[at]
            else {
                continue;
            };
            if *deadline > self.clock.now {
                continue;
            }
            let late = |code| LookupError::new(code, "no answer in time");
            let waiting = match asking {
                Asking::Batched(seat) => self.seats.is_waiting(*seat),
                Asking::Alone(_) => false,
            };
            let late = if waiting {
                no_turn()
            } else if *deadline >= self.sight.context.deadline {
                late(Code::CallDeadline)
            } else {
                late(Code::LookupTimeout)
            };
            self.leave(at);
            self.failed(at, &late);
        }
        if self.failure.is_some() {
            self.cancel_rest();
        }
    }

    fn finish(mut self) -> Ran {
        let timeline = Timeline {
            mode: self.sight.context.mode,
            lanes: Arc::clone(&self.plan.lanes),
            tracks: std::mem::take(&mut self.tracks),
            elapsed: self.clock.since,
        };
        Ran {
            values: std::mem::take(&mut self.values),
            timeline,
            failure: self.failure.take(),
        }
    }
}

impl Drop for Running<'_> {
    /// A call that is dropped half-way, as when its client hangs up, has cancelled what was open.
    fn drop(&mut self) {
        for (at, state) in self.states.iter().enumerate() {
            if !matches!(state, State::Settled) {
                self.metrics
                    .settled(at, Fate::Cancelled, Source::None, None);
            }
        }
    }
}
