//! Runs a call: decodes its parameters, makes its context, runs the lookups of its view and merges their values.
//!
//! In: an admitted [`Call`]. Out: an [`Outcome`], which [`super::reply_writer`] turns into bytes. A panic ends in this call's
//! own `server.internal` and affects no other call.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;

use super::access::MayInject;
use super::call::{Call, EntryPoint};
use super::call_error::CallError;
use super::context;
use super::log::CallLog;
use super::meta::fetch;
use super::metadata::INJECT;
use super::params::{self, ViewParams};
use super::record::view_ran;
use super::reserve::Reserves;
use crate::backend::Held;
use crate::context::Context;
use crate::error::Code;
use crate::faults::CallFaults;
use crate::guard::Guards;
use crate::metrics::{Phase, Served};
use crate::offload::drop_elsewhere;
use crate::plan::Plan;
use crate::program::{CallerLimits, Program};
use crate::recorder::{CallRecorder, CallValues};
use crate::thrift::Limits;
use crate::timeline::Timeline;
use crate::value::Value;
use crate::view::{merge, run};

/// Runs the views of one program.
pub(super) struct Runner {
    program: Arc<Program>,
    guards: Rc<Guards>,
    limits: Limits,
    log: Rc<CallLog>,
    reserves: Reserves,
    recorder: Option<Rc<CallRecorder>>,
}

/// How a call ended, before its reply is written.
pub(super) struct Outcome {
    pub(super) result: Result<Answer, CallError>,
    /// What to log once the reply is written; `None` if the failure is logged already.
    pub(super) unlogged: Option<Ran>,
}

impl Default for Outcome {
    /// That of a call which has not ended.
    fn default() -> Self {
        Outcome {
            result: Err(CallError::new(Code::ServerInternal)),
            unlogged: None,
        }
    }
}

/// The result of a call.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) served: Served,
    /// What happened when, if the reply carries a report.
    pub(super) reported: Option<Timeline>,
    /// Whether the value should not be encoded or dropped on a loop.
    pub(super) is_large: bool,
    /// Keeps the memory of large answers counted while the value is encoded.
    pub(super) _held: Held,
}

/// A call whose view ran, for the log.
pub(super) struct Ran {
    request_id: Arc<str>,
    elapsed_us: u64,
    /// When its first lookup could start, from the arrival of the call.
    lookups_began: Duration,
    /// When its last lookup had its fate, from the arrival of the call.
    lookups_ended: Duration,
}

impl Ran {
    pub(super) fn log(&self, log: &CallLog, call: &Call, ended: Result<Served, Code>) {
        match ended.map_err(CallError::new) {
            Ok(served) => CallLog::served(&call.plan, &self.request_id, self.elapsed_us, served),
            Err(err) => log.failed(call, Some((&self.request_id, self.elapsed_us)), &err),
        }
    }
}

impl Runner {
    pub(super) fn new(
        program: &Arc<Program>,
        guards: &Rc<Guards>,
        limits: Limits,
        log: &Rc<CallLog>,
    ) -> Self {
        Runner {
            program: Arc::clone(program),
            guards: Rc::clone(guards),
            limits,
            log: Rc::clone(log),
            reserves: Reserves::new(program.plans().count()),
            recorder: None,
        }
    }

    /// Offers calls to `recorder`.
    pub(super) fn recording(self, recorder: Option<Rc<CallRecorder>>) -> Self {
        Runner { recorder, ..self }
    }

    /// The program whose views it runs.
    pub(super) fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The limits of the program's callers.
    pub(super) fn callers(&self) -> &CallerLimits {
        &self.program.callers
    }

    /// The reply to a call that ran was written when it had taken `elapsed`.
    pub(super) fn replied(&self, plan: &Plan, ran: &Ran, elapsed: Duration) {
        let took = elapsed.saturating_sub(ran.lookups_ended);
        self.reserves.observe(plan.index, took);
        let view = self.guards.metrics().view(plan.index);
        view.took_itself(took + ran.lookups_began);
    }

    /// Runs `call` to its end, and puts that into `outcome`. Each `async fn` on the way would move what it returned.
    pub(super) async fn run(&self, call: &Call, outcome: &mut Outcome) {
        let ended = {
            let mut answering = pin!(AssertUnwindSafe(self.answer(call, outcome)).catch_unwind());
            let ended = poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Pending if self.guards.metrics().loop_metrics.drain_is_over() => {
                    Poll::Ready(Ok(Err(self.cut_off(call))))
                }
                ended => ended,
            });
            ended.await
        };
        let err = match ended {
            Ok(Ok(())) => return,
            Ok(Err(err)) => err,
            Err(_panic) => {
                let err = CallError {
                    detail: Some("its view panicked".to_owned()),
                    ..CallError::new(Code::ServerInternal)
                };
                self.log.failed(call, None, &err);
                err
            }
        };
        *outcome = Outcome {
            result: Err(err),
            unlogged: None,
        };
    }

    /// The error of a call that has taken longer than the drain.
    #[cold]
    fn cut_off(&self, call: &Call) -> CallError {
        let err = CallError::new(Code::ServerDraining);
        self.log.failed(call, None, &err);
        err
    }

    async fn answer(&self, call: &Call, outcome: &mut Outcome) -> Result<(), CallError> {
        if !self.guards.may_begin(&call.plan) {
            Box::pin(self.hold(call)).await?;
        }
        let params = match call.entry_point {
            EntryPoint::Method => self.params(call).await,
            EntryPoint::Fetch => {
                let schema = self.program.schema(&call.plan);
                fetch::params(call, (schema, &self.reserves), &self.limits).await
            }
        };
        let (params, mut context) = params.inspect_err(|err| {
            self.log.failed(call, None, err);
        })?;
        context.caller = call.caller();
        if let Some(recorder) = &self.recorder {
            call.is_named(&context.request_id);
            context.trace = recorder.begin(|| context::parent(call, Some(&context)));
            if let Some(trace) = &context.trace {
                call.belongs_to(trace);
            }
        }
        if let Some(allowed) = call.may_inject {
            context.faults = self.faults(call, &context, allowed)?;
        }
        let params = ViewParams::new(call, params);
        self.run_view(call, &params.values, &mut context, outcome)
            .await
    }

    /// The faults that the caller asks for.
    #[cold]
    fn faults(
        &self,
        call: &Call,
        context: &Context,
        allowed: MayInject,
    ) -> Result<Option<Arc<CallFaults>>, CallError> {
        let in_baggage = context.baggage.iter().find(|(key, _)| **key == *INJECT);
        let in_header = call
            .request_metadata()
            .and_then(|given| given.inject.as_ref());
        let Some(text) = in_baggage.map(|(_, text)| text).or(in_header) else {
            return Ok(None);
        };
        let read = match allowed {
            MayInject::Yes => self
                .parse_faults(call, text)
                .map_err(|why| (Code::CallBadParams, format!("{INJECT}: {why}"))),
            MayInject::No(why) => {
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                let about = format!("the caller may not inject faults{why}");
                Err((Code::CallForbidden, about))
            }
        };
        let faults = read.map_err(|(code, about)| {
            let err = CallError {
                about: Some(about),
                ..CallError::new(code)
            };
            self.log.failed(call, None, &err);
            err
        })?;
        Ok(Some(Arc::new(faults)))
    }

    /// Reads the faults that the caller asks for. A lookup may be called by its name in the view, which reports show.
    fn parse_faults(&self, call: &Call, text: &str) -> Result<CallFaults, String> {
        let lookups = &self.program.lookups;
        let lookup_of = |name: &str| {
            let step = call.plan.steps.iter().find(|step| *step.name == *name);
            let by_step = step.map(|step| &lookups[step.lookup.0]);
            let found = by_step.or_else(|| lookups.iter().find(|lookup| *lookup.name == *name));
            found.map(|lookup| (*lookup.name).into())
        };
        let is_backend = |name: &str| {
            let mut backends = self.program.backends.iter();
            backends.any(|backend| *backend.name == *name)
        };
        CallFaults::parse(text, lookup_of, is_backend)
    }

    /// Waits until the call may begin. If that takes half of its time, it is refused.
    #[cold]
    async fn hold(&self, call: &Call) -> Result<(), CallError> {
        let latest = call.arrived + call.time() / 2;
        if self.guards.hold(&call.plan, call.caller(), latest).await {
            return Ok(());
        }
        call.in_flight.never_begins();
        let err = CallError::new(Code::ServerOverloaded);
        self.log.failed(call, None, &err);
        Err(err)
    }

    /// The parameters of a call by the types of its method, in field order, and its context.
    async fn params(&self, call: &Call) -> Result<(Vec<Value>, Context), CallError> {
        let plan = &*call.plan;
        let metrics = self.guards.metrics();
        metrics.turn_to(Phase::Params, plan.index, 0);
        let params =
            params::decode(call, (self.program.schema(plan), plan.params), &self.limits).await?;
        let params = params.values;
        let param = plan.context_param.and_then(|at| params.get(at));
        let context = context::of_call(call, param, &self.reserves);
        Ok((params, context))
    }

    async fn run_view(
        &self,
        call: &Call,
        params: &Rc<[Value]>,
        context: &mut Context,
        outcome: &mut Outcome,
    ) -> Result<(), CallError> {
        let plan = &call.plan;
        let schema = self.program.schema(plan);
        if let Some(metadata) = &call.metadata {
            metadata.identify(context);
        }
        if !context.request_id.is_empty() {
            tracing::Span::current().record("request_id", &*context.request_id);
        }
        let mut ran = run(plan, schema, &self.guards, params, context).await;
        let merged = match &ran.failure {
            Some(failure) => {
                if ran.is_large {
                    drop_elsewhere(ran.values);
                }
                Err(CallError::of_failure(plan, failure))
            }
            None => {
                let metrics = self.guards.metrics();
                metrics.turn_to(Phase::Merge, plan.index, 0);
                merge(plan, schema, ran.values).map_err(CallError::of_merge)
            }
        };
        let lookups_ended = Duration::from_micros(ran.timeline.elapsed.get());
        let first = ran.timeline.tracks.first();
        let lookups_began = first.map_or(lookups_ended, |track| {
            Duration::from_micros(track.planned.get())
        });
        ran.timeline.elapsed = call.arrived.elapsed().into();
        let elapsed_us = ran.timeline.elapsed.get();
        if let Err(err) = &merged {
            self.log
                .failed(call, Some((&context.request_id, elapsed_us)), err);
        }
        if let Some(metadata) = &call.metadata {
            let in_reply = plan.report_field.is_some() && merged.is_ok();
            metadata.summarize(&ran.timeline, context.want_report && !in_reply);
        }
        let partial = ran.timeline.is_partial();
        if let Some(recorder) = &self.recorder {
            let failed = partial || merged.is_err();
            let traced = (&ran.timeline, context.trace.take());
            view_ran(recorder, call, traced, failed, || {
                let names = &schema.structs[plan.params.0 as usize].names;
                CallValues::of(&plan.method, (names, params), merged.as_ref().ok())
            });
        }
        let value = merged?;
        let served = if partial {
            Served::Partial
        } else {
            Served::Whole
        };
        let wanted = plan.report_always || context.want_report;
        let reported = wanted && plan.report_field.is_some();
        outcome.result = Ok(Answer {
            value,
            served,
            reported: reported.then_some(ran.timeline),
            is_large: ran.is_large,
            _held: ran.held,
        });
        outcome.unlogged = Some(Ran {
            request_id: Arc::clone(&context.request_id),
            elapsed_us,
            lookups_began,
            lookups_ended,
        });
        Ok(())
    }
}
