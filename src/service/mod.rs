//! A call to its view to a reply or an exception: the only room that sees both the wire and the views.
//!
//! In: one whole message, the shape it came in and what its frame said beside it. Out: the bytes of one reply, or none for a oneway call.
//! [`Service::admit`] decides at once what needs no lookup (unknown methods, wrong message types, a full
//! server); [`Service::serve`] runs the view of an admitted call.

mod caller;
mod context;
mod exception;
mod headers;
mod log;
mod reply;
mod report;

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use thrift::protocol::TMessageType;
use tokio::time::Instant;
use tracing::{Instrument, debug_span};

use crate::config::{LimitsConfig, Program};
use crate::error::Code;
use crate::guard::{Guards, Random};
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::thrift::{Head, HeadOut, Header, Limits, Shape, WireError, decode_struct, read_head};
use crate::value::{Text, Value};
use crate::view::{Plan, merge, run};

pub use caller::Peer;
use exception::CallError;
use headers::Given;
use reply::ReplyTo;
use report::ReportLayout;

/// A program with its backends, on one loop.
pub struct Service {
    program: Arc<Program>,
    guards: Guards,
    limits: Limits,
    calls_max: usize,
    in_flight: Cell<usize>,
    /// How a report is written, if the IDL has one.
    report: Option<ReportLayout>,
    /// The room that a reply is given: what the last one took.
    reply_bytes: Cell<usize>,
    metrics: Rc<ProgramMetrics>,
}

/// The service that new calls go to; a reload puts another in its place.
pub struct Current(RefCell<Rc<Service>>);

impl Current {
    /// Starts with `service`.
    pub fn new(service: Service) -> Rc<Self> {
        Rc::new(Current(RefCell::new(Rc::new(service))))
    }

    /// The service of now. A call keeps the one it began with.
    pub fn get(&self) -> Rc<Service> {
        Rc::clone(&self.0.borrow())
    }

    /// Sends new calls to `service`; the old one ends with its last call.
    pub fn replace(&self, service: Service) {
        self.0.replace(Rc::new(service));
    }
}

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The shape it came in.
    pub shape: Shape,
    /// What its frame said beside it, where frames can.
    pub header: Option<&'a Header>,
    /// Whom it came from.
    pub peer: &'a Peer,
    /// When it was whole.
    pub at: Instant,
}

/// What becomes of a message.
pub enum Admission {
    /// It has its answer already.
    Reply(BytesMut),
    /// Nothing may be answered: a oneway call that can't be served.
    Nothing,
    /// It is to be served.
    Call(Call),
}

/// A call whose method is known and whose parameters are not read yet.
pub struct Call {
    to: ReplyTo,
    /// What its frame said, if it could.
    headers: Option<Box<Given>>,
    plan: Arc<Plan>,
    sequence: i32,
    body: Bytes,
    arrived: Instant,
    oneway: bool,
    /// Gives the place back when the call ends, however it ends.
    slot: Slot,
}

impl Call {
    /// No reply is sent.
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }
}

/// What a call is answered with.
struct Answer {
    value: Value,
    /// The report's bytes, in the call's protocol.
    report: Option<BytesMut>,
}

/// One of the calls in flight.
struct Slot {
    service: Rc<Service>,
    /// Its view, as an index into the metrics'.
    view: usize,
    /// It came to its end, rather than be dropped.
    ended: Cell<bool>,
}

impl Slot {
    fn take(service: &Rc<Service>, view: usize) -> Self {
        service.in_flight.set(service.in_flight.get() + 1);
        service.metrics.of_loop.calls_in_flight.up();
        Slot {
            service: Rc::clone(service),
            view,
            ended: Cell::new(false),
        }
    }

    fn ended(&self, ended: Result<(), Code>, arrived: Instant) {
        self.ended.set(true);
        let view = self.service.metrics.view(self.view);
        view.ended(ended, arrived.elapsed());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let service = &self.service;
        service.in_flight.set(service.in_flight.get() - 1);
        service.metrics.of_loop.calls_in_flight.down();
        if !self.ended.get() {
            service.metrics.view(self.view).hung_up();
        }
    }
}

impl Service {
    /// Makes `program` ready on this loop, within `limits`: those that the server was started with, whatever
    /// a reloaded program says.
    pub async fn open(
        program: Arc<Program>,
        limits: LimitsConfig,
        random: Random,
        metrics: &Rc<LoopMetrics>,
    ) -> Self {
        let calls_max = limits.calls_max;
        let limits = Limits {
            frame_bytes_max: limits.frame_bytes_max,
            depth_max: limits.depth_max,
            inflated_bytes_max: limits.inflated_bytes_max,
            ..Limits::default()
        };
        let report = ReportLayout::of(&program.schema);
        let metrics = ProgramMetrics::new(metrics, &program);
        let guards = Guards::connect(Arc::clone(&program), random, Rc::clone(&metrics)).await;
        Service {
            program,
            guards,
            limits,
            calls_max,
            in_flight: Cell::new(0),
            report,
            reply_bytes: Cell::new(0),
            metrics,
        }
    }

    /// The wire limits, for cutting messages out of a stream.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Reads a message's head and decides what becomes of it. `Err`: the head can't be read, so there is
    /// nobody to answer and the connection has to be closed.
    pub fn admit(
        self: &Rc<Self>,
        arrival: Arrival<'_>,
        message: &Bytes,
    ) -> Result<Admission, WireError> {
        let to = ReplyTo::new(arrival.shape, arrival.header);
        let (head, body) = read_head(arrival.shape.protocol, message)?;
        let plan = self.plan_of(&head.name);
        // Some languages' clients send an ordinary call for a method that the IDL calls oneway.
        let oneway = head.kind == TMessageType::OneWay || plan.is_some_and(|plan| plan.oneway);
        let admitted = match (head.kind, plan) {
            (TMessageType::Reply | TMessageType::Exception, _) => Err(Code::CallMessageType),
            (_, None) => Err(Code::CallUnknownMethod),
            (_, Some(plan)) => self.refusal(plan, &arrival).map_or(Ok(plan), Err),
        };
        let plan = match admitted {
            Ok(plan) => plan,
            Err(code) => {
                let error = CallError {
                    about: caller::hint(code, &arrival),
                    ..CallError::new(code)
                };
                log::refused(&head, &error);
                self.metrics.refused(plan.map(|plan| plan.index), code);
                return Ok(if oneway {
                    Admission::Nothing
                } else {
                    Admission::Reply(self.refuse(to, &head, &error))
                });
            }
        };
        Ok(Admission::Call(Call {
            to,
            headers: arrival.header.map(|header| Box::new(Given::read(header))),
            plan: Arc::clone(plan),
            sequence: head.sequence,
            body,
            arrived: arrival.at,
            oneway,
            slot: Slot::take(self, plan.index),
        }))
    }

    /// Why a call of `plan` is not begun, if it is not.
    fn refusal(&self, plan: &Plan, arrival: &Arrival<'_>) -> Option<Code> {
        let tokens = &self.program.tokens;
        let allow = plan.allow.as_deref();
        if let Some(code) = allow.and_then(|allow| caller::denial(allow, tokens, arrival)) {
            return Some(code);
        }
        (self.in_flight.get() >= self.calls_max).then_some(Code::ServerOverloaded)
    }

    /// The bytes of an exception for a call that has no view to declare one.
    fn refuse(&self, to: ReplyTo, head: &Head, error: &CallError) -> BytesMut {
        let plan = self.plan_of(&head.name).map(|plan| &**plan);
        let name = head.name.as_str();
        let name = name.split_once(':').map_or(name, |(_, method)| method);
        let head = HeadOut {
            name,
            kind: TMessageType::Reply,
            sequence: head.sequence,
        };
        self.write_exception(to, head, plan, error)
    }

    /// What becomes of bytes that can't be cut into messages. Where only one frame's message can't be had, its
    /// header says enough for an answer; otherwise there is nobody to answer.
    pub fn refuse_frame(
        &self,
        arrival: Arrival<'_>,
        err: WireError,
    ) -> Result<Admission, WireError> {
        let Some(header) = arrival.header.filter(|_| err.is_of_frame()) else {
            return Err(err);
        };
        let code = err.code;
        let error = CallError {
            about: Some(err.detail),
            ..CallError::new(code)
        };
        let head = HeadOut {
            name: "",
            kind: TMessageType::Exception,
            sequence: header.sequence(),
        };
        self.metrics.refused(None, code);
        let to = ReplyTo::new(arrival.shape, Some(header));
        let reply = self.write_exception(to, head, None, &error);
        Ok(Admission::Reply(reply))
    }

    /// Runs the view of an admitted call. `None` for a oneway call. A panic ends in this call's own
    /// `server.internal`, nobody else's.
    pub async fn serve(self: Rc<Self>, call: Call) -> Option<BytesMut> {
        let answer = AssertUnwindSafe(self.answer(&call)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_panic| Err(CallError::new(Code::ServerInternal)));
        let ended = answer.as_ref().map(|_| ()).map_err(|err| err.code);
        call.slot.ended(ended, call.arrived);
        if call.oneway {
            return None;
        }
        let plan = &*call.plan;
        let head = HeadOut {
            name: &plan.method,
            kind: TMessageType::Reply,
            sequence: call.sequence,
        };
        Some(match answer {
            Ok(answer) => self.write_reply(call.to, head, plan, &answer),
            Err(error) => self.write_exception(call.to, head, Some(plan), &error),
        })
    }

    /// The plan of a served method.
    fn plan_of(&self, name: &Text) -> Option<&Arc<Plan>> {
        let name = bare(name.as_str(), &self.program.service().name)?;
        self.program.plans.get(name)
    }

    /// The reply's value, report included.
    async fn answer(&self, call: &Call) -> Result<Answer, CallError> {
        let method = &*call.plan.method;
        let span = debug_span!("call", method, request_id = tracing::field::Empty);
        self.run_view(call).instrument(span).await
    }

    async fn run_view(&self, call: &Call) -> Result<Answer, CallError> {
        let (schema, plan) = (&self.program.schema, &*call.plan);
        let params = decode_struct(
            schema,
            plan.params,
            call.to.shape.protocol,
            &call.body,
            &self.limits,
        )
        .map_err(|err| CallError::bad_params(&err))?;
        let Value::Record(params) = params else {
            return Err(CallError::new(Code::ServerInternal));
        };
        let context = context::of_call(plan, &params.values, call.arrived, call.headers.as_deref());
        tracing::Span::current().record("request_id", &*context.request_id);
        let mut ran = run(plan, schema, &self.guards, &params.values, &context).await;
        let merged = match &ran.failure {
            Some(failure) => Err(CallError::of_failure(plan, failure)),
            None => merge(plan, schema, &mut ran.outcomes).map_err(CallError::of_merge),
        };
        ran.timeline.elapsed = call.arrived.elapsed();
        log::ended(plan, &context, &ran.timeline, merged.as_ref().err());
        let value = merged?;
        let wanted = plan.report_always || context.want_report;
        let report = match (&self.report, plan.report_field) {
            (Some(layout), Some(_)) if wanted => {
                Some(layout.write(call.to.shape.protocol, &ran.timeline))
            }
            _ => None,
        };
        Ok(Answer { value, report })
    }
}

/// `method`, or `Service:method` when that is the served service.
fn bare<'a>(name: &'a str, service: &str) -> Option<&'a str> {
    match name.split_once(':') {
        None => Some(name),
        Some((prefix, method)) => (prefix == service).then_some(method),
    }
}
