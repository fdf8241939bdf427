//! A call to its view to a reply or an exception: the only room that sees both the wire and the views.
//!
//! In: one whole message, the wire format it came in and what its frame said beside it. Out: the bytes of one reply, or none for a oneway call.
//! [`Service::admit`] (`admit.rs`) decides at once what needs no lookup (unknown methods, wrong message types, a full
//! server); [`Service::serve`] runs the view of an admitted call.

mod admit;
mod metadata;
mod call;
mod caller;
mod context;
mod exception;
mod log;
mod meta; // the `Tributary` service
mod reply;
mod report;
mod memory;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use thrift::protocol::TMessageType;
use tracing::{Instrument, debug_span};

use crate::config::LimitsConfig;
use crate::context::Context;
use crate::error::Code;
use crate::guard::Guards;
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::plan::Plan;
use crate::program::Program;
use crate::random::Random;
use crate::thrift::{HeadOut, Limits};
use crate::timeline::Timeline;
use crate::value::Value;
use crate::view::{merge, run};

pub use admit::{Admission, Arrival};
pub use call::Call;
use call::{EntryPoint, Params};
pub use caller::Peer;
use exception::CallError;
pub use memory::{ConnectionMemory, MemoryPool, Reservation};
use metadata::CallMetadata;
use report::{ReportLayout, ReportTemplate};

/// A program with its backends, on one loop.
pub struct Service {
    program: Arc<Program>,
    guards: Guards,
    limits: Limits,
    calls_max: usize,
    reply_bytes_max: usize,
    in_flight: Cell<usize>,
    /// For the request ids of calls whose clients could give one and did not.
    random: RefCell<Random>,
    /// How a report is written, if the IDL has one, and what the reports of a plan share, by the plan's index.
    report: Option<(ReportLayout, Vec<Vec<ReportTemplate>>)>,
    /// The room that a reply is given: what the last one took.
    reply_bytes: Cell<usize>,
    /// The buffer of a reply that is on its way, for the next one.
    spare: Cell<BytesMut>,
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

    /// The buffer of a reply that was sent.
    pub fn take_back(&self, buffer: BytesMut) {
        self.0.borrow().take_back(buffer);
    }

    /// Sends new calls to `service`; the old one ends with its last call.
    pub fn replace(&self, service: Service) {
        self.0.replace(Rc::new(service));
    }
}

/// A call whose view ran, for the log.
struct Ran {
    request_id: Arc<str>,
    elapsed_us: u64,
}

/// What a call is answered with.
struct Answer {
    value: Value,
    /// What its report tells, if it has one.
    reported: Option<Timeline>,
}

impl Ran {
    fn log(&self, plan: &Plan, ended: Result<(), Code>) {
        match ended.map_err(CallError::new) {
            Ok(()) => log::served(plan, &self.request_id, self.elapsed_us),
            Err(err) => log::failed(plan, Some(&self.request_id), Some(self.elapsed_us), &err),
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
        let (calls_max, reply_bytes_max) = (limits.calls_max, limits.reply_bytes_max);
        let limits = Limits {
            frame_bytes_max: limits.frame_bytes_max,
            depth_max: limits.depth_max,
            values_max: limits.values_max,
            inflated_bytes_max: limits.inflated_bytes_max,
            ..Limits::default()
        };
        meta::prepare();
        let report = ReportLayout::of(&program.schema).map(|layout| {
            let templates = layout.templates(program.plans.values());
            (layout, templates)
        });
        let metrics = ProgramMetrics::new(metrics, &program);
        let ids = Random::seeded(random.clone().draw());
        let guards = Guards::connect(Arc::clone(&program), random, Rc::clone(&metrics)).await;
        Service {
            program,
            guards,
            limits,
            calls_max,
            reply_bytes_max,
            in_flight: Cell::new(0),
            random: RefCell::new(ids),
            report,
            reply_bytes: Cell::new(0),
            spare: Cell::default(),
            metrics,
        }
    }

    /// The wire limits, for cutting messages out of a stream.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Runs the view of an admitted call. `None` for a oneway call. A panic ends in this call's own
    /// `server.internal`, nobody else's.
    pub async fn serve(self: Rc<Self>, call: Call) -> Option<BytesMut> {
        let method = &*call.plan.method;
        let span = debug_span!("call", method, request_id = tracing::field::Empty);
        let answer = self.answer(&call).instrument(span.clone());
        let answer = AssertUnwindSafe(answer).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_panic| Err(CallError::new(Code::ServerInternal)));
        let (answer, ran) = match answer {
            Ok((answer, ran)) if call.lacks_room(&answer.value, self.reply_bytes_max) => {
                (Err(CallError::new(Code::ServerOverloaded)), Some(ran))
            }
            Ok((answer, ran)) => (Ok(answer), Some(ran)),
            Err(err) => (Err(err), None),
        };
        let mut ended = answer.as_ref().map(|_| ()).map_err(|err| err.code);
        let mut reply = None;
        if !call.oneway {
            let mut bytes = self.reply(&call, answer);
            if let Some(code) = call.refusal_of_reply(bytes.len(), self.reply_bytes_max) {
                ended = Err(code);
                bytes = self.reply(&call, Err(CallError::new(code)));
            }
            reply = Some(bytes);
        }
        // What failed before there was an answer is in the log already.
        if let Some(ran) = &ran {
            span.in_scope(|| ran.log(&call.plan, ended));
        }
        call.in_flight.ended(ended, call.arrived);
        reply
    }

    /// The bytes of the answer to `call`.
    fn reply(&self, call: &Call, answer: Result<Answer, CallError>) -> BytesMut {
        if call.entry_point == EntryPoint::Fetch {
            return self.write_fetched(call, answer);
        }
        let plan = &*call.plan;
        let head = HeadOut {
            name: &plan.method,
            kind: TMessageType::Reply,
            sequence: call.sequence,
        };
        match answer {
            Ok(answer) => self.write_reply(call.to(), head, plan, &answer),
            Err(error) => self.write_exception(call.to(), head, Some(plan), &error),
        }
    }

    /// The reply's value, report included. An error is in the log then.
    async fn answer(&self, call: &Call) -> Result<(Answer, Ran), CallError> {
        let params = match call.entry_point {
            EntryPoint::Method => self.params(call).await,
            EntryPoint::Fetch => self.fetch_params(call).await,
        };
        let (params, context) = params.inspect_err(|err| {
            let id = call.metadata.as_deref().and_then(CallMetadata::request_id);
            log::failed(&call.plan, id, None, err);
        })?;
        self.run_view(call, params, context).await
    }

    async fn run_view(
        &self,
        call: &Call,
        params: Vec<Value>,
        context: Context,
    ) -> Result<(Answer, Ran), CallError> {
        let (schema, plan) = (&self.program.schema, &*call.plan);
        if let Some(metadata) = &call.metadata {
            metadata.goes_by(&context);
        }
        let params = Params::new(call, params);
        tracing::Span::current().record("request_id", &*context.request_id);
        let mut ran = run(plan, schema, &self.guards, &params.values, &context).await;
        let merged = match &ran.failure {
            Some(failure) => Err(CallError::of_failure(plan, failure)),
            None => merge(plan, schema, ran.values).map_err(CallError::of_merge),
        };
        ran.timeline.elapsed = call.arrived.elapsed().into();
        let elapsed_us = ran.timeline.elapsed.get();
        if let Err(err) = &merged {
            log::failed(plan, Some(&context.request_id), Some(elapsed_us), err);
        }
        if let Some(metadata) = &call.metadata {
            let has_place = plan.report_field.is_some() && merged.is_ok();
            metadata.ran(&ran.timeline, context.want_report && !has_place);
        }
        let value = merged?;
        let wanted = plan.report_always || context.want_report;
        let reported = wanted && plan.report_field.is_some();
        let answer = Answer {
            value,
            reported: reported.then_some(ran.timeline),
        };
        let request_id = context.request_id;
        Ok((
            answer,
            Ran {
                request_id,
                elapsed_us,
            },
        ))
    }

    /// The parameters of a call by its method's own types, in field order, and its context.
    async fn params(&self, call: &Call) -> Result<(Vec<Value>, Context), CallError> {
        let plan = &*call.plan;
        let params = call
            .decode(&self.program.schema, plan.params, &self.limits)
            .await?;
        let params = params.values;
        let param = plan.context_param.and_then(|at| params.get(at));
        let context = context::of_call(plan, param, call.arrived, call.given());
        Ok((params, context))
    }
}
