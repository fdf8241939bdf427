//! Decides whether a message becomes a call, before its parameters are decoded.
//!
//! In: a [`Message`]. Out: [`Admitted`]. Every reason to refuse a call without running it belongs here: unknown methods,
//! wrong message types, callers that may not call, too many calls in flight, frames that can't be opened. Writing the
//! refusal is [`super::reply_writer`]'s job.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thrift::protocol::TMessageType;
use tracing::warn;

use super::access;
use super::arrival::{Arrival, Message, Peer};
use super::call::{Call, EntryPoint};
use super::call_error::CallError;
use super::in_flight::CallsInFlight;
use super::memory::Reservation;
use super::meta::{MetaCall, Method, fetch};
use super::overload::Overload;
use super::refusal::Refusal;
use crate::config::GuardMode;
use crate::error::Code;
use crate::guard::Guards;
use crate::log_limit::LogLimit;
use crate::metrics::{OfCaller, Overloaded, ProgramMetrics};
use crate::plan::Plan;
use crate::program::{CallerCall, Exceeded, Program, ServedService, built_in, plan};
use crate::random::Random;
use crate::recorder::CallRecorder;
use crate::thrift::{Head, Header, Limits, WireError, read_head};
use crate::value::Text;

/// Enough for any head: a name, whose length is limited, and a few numbers.
const HEAD_BYTES_MAX: usize = 512;

/// The rules by which calls are admitted.
pub(super) struct Admission {
    program: Arc<Program>,
    limits: Limits,
    calls: Rc<CallsInFlight>,
    guards: Rc<Guards>,
    metrics: Rc<ProgramMetrics>,
    /// The most calls in flight on all loops.
    calls_max_of_all: usize,
    /// Callers that were refused because of their limits.
    limited: LogLimit<(usize, OfCaller)>,
    /// Calls that were refused because the loop has too much to do.
    late: LogLimit<()>,
}

/// What a message becomes.
pub(super) enum Admitted<'a> {
    /// A call that runs a view.
    Call(Call),
    /// A call that the `Tributary` service answers without a lookup.
    Meta(MetaCall<'a>),
    /// Nothing: it is refused.
    Refused(Refusal<'a>),
}

impl Admission {
    pub(super) fn new(
        program: &Arc<Program>,
        limits: Limits,
        calls_max: usize,
        (guards, recorder): (&Rc<Guards>, Option<Rc<CallRecorder>>),
    ) -> Self {
        let metrics = guards.metrics();
        Admission {
            program: Arc::clone(program),
            limits,
            calls: CallsInFlight::new(calls_max, metrics, recorder),
            guards: Rc::clone(guards),
            metrics: Rc::clone(metrics),
            calls_max_of_all: calls_max.saturating_mul(program.workers),
            limited: LogLimit::default(),
            late: LogLimit::default(),
        }
    }

    /// Whether calls are refused, and not only counted, if the loop has more work than it can do.
    pub(super) fn limits_the_loop(&self) -> bool {
        self.program.overload == GuardMode::Enforce
    }

    /// Decides about a message whose head has been read.
    pub(super) fn decide<'a>(&'a self, message: Message<'a>) -> Admitted<'a> {
        let plan = self.plan_of(&message.head.name, message.arrival.peer);
        if plan.is_none()
            && let Some((method, services)) = self.meta_method(&message)
        {
            return match method {
                Method::Fetch => self.admit_fetch(message, services),
                _ => Admitted::Meta(MetaCall {
                    method,
                    message,
                    services,
                }),
            };
        }
        let admitted = match (message.head.kind, plan) {
            (TMessageType::Reply | TMessageType::Exception, _) => Err(Code::CallMessageType),
            (_, None) => Err(Code::CallUnknownMethod),
            (_, Some(plan)) => self.check(plan, &message).map(|counted| (plan, counted)),
        };
        match admitted {
            Ok((plan, of_caller)) => {
                Admitted::Call(self.begin((message, of_caller), plan, EntryPoint::Method))
            }
            Err(code) => Admitted::Refused(Refusal {
                error: CallError {
                    about: self.hint(code, &message),
                    ..CallError::new(code)
                },
                message,
                plan: plan.map(|plan| &**plan),
                entry_point: EntryPoint::Method,
            }),
        }
    }

    /// Decides about a call of `fetch`, which is admitted as a call of the view that it names.
    fn admit_fetch<'a>(
        &'a self,
        message: Message<'a>,
        services: &'a [ServedService],
    ) -> Admitted<'a> {
        let protocol = message.arrival.wire_format.protocol;
        let (plan, error) = match fetch::view_of(services, protocol, &message.body, &self.limits) {
            Err(error) => (None, error),
            Ok(plan) => match self.check(plan, &message) {
                Ok(of_caller) => {
                    let call = self.begin((message, of_caller), plan, EntryPoint::Fetch);
                    return Admitted::Call(call);
                }
                Err(code) => {
                    let error = CallError {
                        about: access::hint(code, &message.arrival).map(str::to_owned),
                        ..CallError::new(code)
                    };
                    (Some(&**plan), error)
                }
            },
        };
        Admitted::Refused(Refusal {
            error,
            message,
            plan,
            entry_point: EntryPoint::Fetch,
        })
    }

    /// Whether a call of `plan` may begin; otherwise why not. The caller is checked first: a caller that may
    /// not call must not learn whether the server is full. Returns what counts the call for its caller.
    fn check(&self, plan: &Plan, message: &Message<'_>) -> Result<Option<CallerCall>, Code> {
        let arrival = &message.arrival;
        if let Some(allow) = plan.allow.as_deref()
            && let Some(code) = access::denial(allow, &self.program.tokens, arrival)
        {
            return Err(code);
        }
        let of_caller = if self.program.callers.is_empty() {
            None
        } else {
            self.check_limits(message)?
        };
        if let Some(metadata) = &message.metadata
            && let Some(budget) = metadata.given.budget
            && budget <= arrival.at.elapsed()
        {
            return Err(Code::CallDeadline);
        }
        let unanswered = arrival.unanswered;
        if self.calls.is_full(unanswered) {
            self.calls.refuse(Overloaded::CallsMax);
        } else if self.is_beyond_the_loop(plan, message) {
            self.calls.refuse(Overloaded::Loop);
        } else if !self
            .guards
            .can_serve(plan, unanswered, || time_left(plan, message))
        {
            // The guards have logged which store it would wait for.
            self.metrics.loop_metrics.overloaded(Overloaded::Waiting);
        } else {
            return Ok(of_caller);
        }
        Err(Code::ServerOverloaded)
    }

    /// A message was refused because clients hold too much memory.
    #[cold]
    pub(super) fn refused_for_memory(&self) {
        self.calls.refuse(Overloaded::Memory);
    }

    /// Whether the loop has more work than it can do, and refuses this call for it. To refuse costs the loop little, so it catches
    /// up then.
    #[inline]
    fn is_beyond_the_loop(&self, plan: &Plan, message: &Message<'_>) -> bool {
        let Some(overload) = message.arrival.overload else {
            return false;
        };
        let lag = overload.lag(message.arrival.at);
        (!lag.is_zero() || overload.is_limiting())
            && self.program.overload != GuardMode::Off
            && self.refuses((overload, lag), plan, message)
    }

    /// A call is refused if too much of its time is over before anything of it runs, or if it is not in the share of calls that
    /// keeps the rounds of the loop short. Connections without another call are the last to be refused.
    #[cold]
    fn refuses(
        &self,
        (overload, lag): (&Overload, Duration),
        plan: &Plan,
        message: &Message<'_>,
    ) -> bool {
        let arrival = &message.arrival;
        let is_first = arrival.unanswered == 0;
        let part = if is_first { 2 } else { 4 };
        // `lag` may be zero while the share recovers.
        let refuses = (!lag.is_zero() && lag >= time_left(plan, message) / part)
            || !overload.admits(arrival.at, is_first);
        if refuses && self.program.overload == GuardMode::Measure {
            self.metrics.loop_metrics.measured_overload();
            return false;
        }
        if refuses && let Some(suppressed) = self.late.allow(()) {
            let (code, method) = (Code::ServerOverloaded, &*plan.label);
            let lag_ms = lag.as_millis();
            warn!(%code, method, lag_ms, suppressed, "calls refused: the event loop has more work than it can do");
        }
        refuses
    }

    /// Counts the call for its caller, unless that is beyond its limits.
    #[cold]
    fn check_limits(&self, message: &Message<'_>) -> Result<Option<CallerCall>, Code> {
        let program = &*self.program;
        let arrival = &message.arrival;
        let Some((at, limit)) = access::limits(&program.callers, &program.tokens, arrival) else {
            return Ok(None);
        };
        let counts = &self.metrics.callers[at];
        let enforced = limit.is_enforced();
        let (outcome, retry_after) = match limit.begin(arrival.at, self.calls_max_of_all) {
            Ok(call) => {
                counts.count(OfCaller::Admitted as usize);
                return Ok(Some(call));
            }
            Err(Exceeded::Rate(_)) if !enforced => (OfCaller::MeasuredRate, None),
            Err(Exceeded::Share) if !enforced => (OfCaller::MeasuredShare, None),
            Err(Exceeded::Rate(retry_after)) => (OfCaller::Rate, Some(retry_after)),
            Err(Exceeded::Share) => (OfCaller::Share, None),
        };
        counts.count(outcome as usize);
        if !enforced {
            return Ok(Some(limit.count()));
        }
        if let (Some(metadata), Some(retry_after)) = (&message.metadata, retry_after) {
            metadata.retry_after(retry_after);
        }
        if let Some(suppressed) = self.limited.allow((at, outcome)) {
            let (caller, limit) = (limit.label(), outcome.word());
            warn!(code = %Code::CallRateLimited, caller, limit, suppressed, "caller is limited");
        }
        Err(Code::CallRateLimited)
    }

    /// Makes the call, which counts as in flight from here on.
    fn begin(
        &self,
        (message, of_caller): (Message<'_>, Option<CallerCall>),
        plan: &Arc<Plan>,
        entry_point: EntryPoint,
    ) -> Call {
        // Clients in some languages send an ordinary call for a method that the IDL declares oneway.
        let oneway = message.is_oneway() || (plan.oneway && entry_point == EntryPoint::Method);
        let arrival = message.arrival;
        Call {
            wire_format: arrival.wire_format,
            metadata: message.metadata,
            plan: Arc::clone(plan),
            sequence: message.head.sequence,
            body: message.body,
            arrived: arrival.at,
            oneway,
            entry_point,
            reservation: arrival
                .memory
                .map(|memory| Reservation::new(memory, message.bytes)),
            in_flight: self.calls.begin(plan.index),
            may_inject: self
                .program
                .inject
                .as_ref()
                .map(|from| access::may_inject(from, &self.program.tokens, &arrival)),
            of_caller,
            named: OnceCell::new(),
            why: OnceCell::new(),
            recording: Cell::default(),
        }
    }

    /// Refuses a message of which no more is read, by what has arrived of it. `None`: its head can't be read, or the client
    /// expects no reply.
    pub(super) fn refuse_start<'a>(
        &'a self,
        arrival: Arrival<'a>,
        start: &[u8],
        err: &WireError,
    ) -> Option<Refusal<'a>> {
        let start = Bytes::copy_from_slice(&start[..start.len().min(HEAD_BYTES_MAX)]);
        let (head, _) = read_head(arrival.wire_format.protocol, &start).ok()?;
        let plan = self.plan_of(&head.name, arrival.peer).map(|plan| &**plan);
        if head.kind != TMessageType::Call || plan.is_some_and(|plan| plan.oneway) {
            return None;
        }
        Some(Refusal {
            error: CallError::unreadable(err),
            message: Message::unread(arrival, head, None),
            plan,
            entry_point: EntryPoint::Method,
        })
    }

    /// Refuses a message that can't be read, by the header of its frame.
    pub(super) fn refuse_frame<'a>(
        arrival: Arrival<'a>,
        header: &Header,
        err: &WireError,
        ids: &RefCell<Random>,
    ) -> Refusal<'a> {
        let head = Head {
            name: Text::default(),
            kind: TMessageType::Exception,
            sequence: header.sequence(),
        };
        Refusal {
            error: CallError::unreadable(err),
            message: Message::unread(arrival, head, arrival.metadata(ids)),
            plan: None,
            entry_point: EntryPoint::Method,
        }
    }

    /// The method of the `Tributary` service that the message calls, if this client can reach that service.
    #[cold]
    fn meta_method(&self, message: &Message<'_>) -> Option<(Method, &[ServedService])> {
        let kind = message.head.kind;
        let is_call = matches!(kind, TMessageType::Call | TMessageType::OneWay);
        let peer = message.arrival.peer;
        if !peer.meta || !is_call {
            return None;
        }
        let services = self.program.reachable(peer.service.as_deref());
        let (method, services) = built_in(services, message.head.name.as_str())?;
        Some((Method::named(method)?, services))
    }

    /// The plan of a served method.
    fn plan_of(&self, name: &Text, peer: &Peer) -> Option<&Arc<Plan>> {
        let services = self.program.reachable(peer.service.as_deref());
        plan(services, name)
    }

    /// What else the client may know about why its message is refused.
    #[cold]
    fn hint(&self, code: Code, message: &Message<'_>) -> Option<String> {
        let name = message.head.name.as_str();
        if code == Code::CallUnknownMethod && !name.contains(':') {
            let services = self
                .program
                .reachable(message.arrival.peer.service.as_deref());
            let [first, _, ..] = services else {
                return None;
            };
            return Some(format!(
                "this server has several services: call `SERVICE:METHOD` as multiplexed clients do, such as `{}:..`",
                first.name
            ));
        }
        access::hint(code, &message.arrival).map(str::to_owned)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn calls_in_flight(&self) -> usize {
        self.calls.count()
    }
}

/// How long a call of `plan` may take yet, as far as that is known before its parameters are decoded.
fn time_left(plan: &Plan, message: &Message<'_>) -> Duration {
    let metadata = message.metadata.as_deref();
    let budget = metadata.and_then(|metadata| metadata.given.budget);
    let time = budget.map_or(plan.deadline, |budget| budget.min(plan.deadline));
    time.saturating_sub(message.arrival.at.elapsed())
}
