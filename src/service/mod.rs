//! Turns a call into a reply or an exception by running its view. Only this module knows both the wire and the views.
//!
//! A message takes these steps, in this order:
//!
//! 1. `arrival` reads its head; `metadata` reads the headers of its frame;
//! 2. `admission` decides whether it becomes a `call`, and refuses it otherwise;
//! 3. `runner` decodes the call's `params`, makes its `context` and runs its view;
//! 4. `reply_writer` writes the outcome, with a `report` if asked, as the bytes of one reply, or none for a oneway call.
//!
//! `Service` connects the steps. The `Tributary` service, which describes the server itself, is in `meta`.

mod arrival;
mod closing; // whether its connection ends
mod metadata;
mod overload; // of the loop
mod admission;
mod access; // who may call
mod in_flight; // how many calls at a time
mod refusal;
mod call;
mod runner;
mod record; // for operators
mod reserve; // of a caller's time, for the reply
mod params;
mod context;
mod call_error; // why a call has no result
mod reply_body;
mod large_reply;
mod reply_writer;
mod reply_limit;
mod report;
mod meta; // the `Tributary` service
mod memory; // what clients' bytes take up
mod log;
mod watched; // what the maker of a call learns of it
mod trial; // for the admin port
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tracing::{Instrument, debug_span};

use crate::config::LimitsConfig;
use crate::error::{Code, Fault};
use crate::guard::{Guards, Purge, Purged};
use crate::metrics::{LoopMetrics, Phase, ProgramMetrics};
use crate::program::Program;
use crate::random::Random;
use crate::recorder::CallRecorder;
use crate::thrift::{Limits, WireError};
use admission::{Admission, Admitted};
use arrival::Message;
use log::CallLog;
use meta::Introspection;
use refusal::Refusal;
use reply_writer::{ReplyWriter, Written};
use runner::{Outcome, Runner};

pub use arrival::{Arrival, Peer};
pub use call::Call;
pub use closing::Closing;
pub use memory::{ConnectionMemory, MemoryPool, Reservation};
pub use overload::Overload;
pub use trial::{
    TRIAL_CALLER, TRIAL_FORMAT, Trial, TrialReceiver, TrialRequest, TrialSender, Trials, Tried,
    trial_channel,
};
pub use watched::Watched;

/// A program with its backends, on one loop.
pub struct Service {
    limits: Limits,
    /// Makes request ids for calls that could carry one but do not.
    ids: RefCell<Random>,
    admission: Admission,
    introspection: Introspection,
    guards: Rc<Guards>,
    runner: Runner,
    writer: ReplyWriter,
    log: Rc<CallLog>,
    metrics: Rc<ProgramMetrics>,
    /// Keeps some calls, if the admin port shows them.
    recorder: Option<Rc<CallRecorder>>,
}

/// How the connection handles a message.
pub enum Decision {
    /// Send this reply: the message needs no lookup, or is refused.
    Reply(BytesMut),
    /// Send this reply: the message is refused because the loop has too much to do. Read no other one for so long.
    Rest(BytesMut, Duration),
    /// Send nothing: a oneway call that is answered or refused.
    NoReply,
    /// Serve this call.
    Serve(Call),
}

impl Service {
    /// Prepares `program` on this loop. `limits` are those that the server was started with: a reload does not change them.
    /// It replaces `before`, whose stores it takes over if they did not change.
    pub async fn open(
        program: Arc<Program>,
        limits: LimitsConfig,
        random: Random,
        metrics: &Rc<LoopMetrics>,
        before: Option<&Service>,
    ) -> Self {
        let wire_limits = Limits {
            frame_bytes_max: limits.frame_bytes_max,
            depth_max: limits.depth_max,
            values_max: limits.values_max,
            inflated_bytes_max: limits.inflated_bytes_max,
            ..Limits::default()
        };
        let recorder = metrics.recorder(&program).map(Rc::new);
        let metrics = ProgramMetrics::new(metrics, &program);
        let ids = Random::seeded(random.clone().draw());
        if let Some(before) = before {
            program.callers.take_over(before.runner.callers());
        }
        let before = before.map(|before| &*before.guards);
        let (of_guards, metering) = (Arc::clone(&program), Rc::clone(&metrics));
        let guards = Rc::new(Guards::connect(of_guards, random, metering, before).await);
        let log = Rc::new(CallLog::new(program.log.is_some()));
        Service {
            limits: wire_limits,
            ids: RefCell::new(ids),
            admission: Admission::new(
                &program,
                wire_limits,
                limits.calls_max,
                (&guards, recorder.clone()),
            ),
            introspection: Introspection::new(&program, &guards, wire_limits, &metrics),
            runner: Runner::new(&program, &guards, wire_limits, &log).recording(recorder.clone()),
            writer: ReplyWriter::new(&program, limits.reply_bytes_max, &log),
            guards,
            log,
            metrics,
            recorder,
        }
    }

    /// The wire limits, for cutting messages out of a stream.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether calls are refused if the loop has more work than it can do.
    pub fn limits_the_loop(&self) -> bool {
        self.admission.limits_the_loop()
    }

    /// Reads the head of a message and decides how to handle it. `Err`: the head is unreadable, so no reply is possible
    /// and the connection has to be closed.
    pub fn admit(&self, arrival: Arrival<'_>, message: &Bytes) -> Result<Decision, WireError> {
        let message = Message::read(arrival, message, &self.ids)?;
        Ok(match self.admission.decide(message) {
            Admitted::Call(call) => Decision::Serve(call),
            Admitted::Meta(call) => {
                let answer = self.introspection.answer(&call);
                if call.message.is_oneway() {
                    Decision::NoReply
                } else {
                    Decision::Reply(self.writer.answer(&call, answer))
                }
            }
            Admitted::Refused(refusal) if refusal.is_oneway() => {
                refusal.record(&self.metrics);
                Decision::NoReply
            }
            Admitted::Refused(refusal) => {
                let reply = self.refuse(&refusal);
                match refusal.counted() {
                    Some(rest) if self.limits_the_loop() => Decision::Rest(reply, rest),
                    _ => Decision::Reply(reply),
                }
            }
        })
    }

    /// Runs an admitted call. `None` for a oneway call.
    #[expect(
        clippy::manual_async_fn,
        reason = "the state of an `async fn` holds its parameters twice"
    )]
    pub fn serve(self: Rc<Self>, call: Call) -> impl Future<Output = Option<BytesMut>> {
        async move {
            let method = &*call.plan.label;
            let span = debug_span!("call", method, request_id = tracing::field::Empty);
            let mut outcome = Outcome::default();
            let running = self.runner.run(&call, &mut outcome);
            if span.is_disabled() {
                running.await;
            } else {
                Box::pin(running.instrument(span.clone())).await;
            }
            let Outcome { result, unlogged } = outcome;
            self.metrics.turn_to(Phase::Reply, call.plan.index, 0);
            let Written { reply, ended } = match result {
                Ok(answer) if answer.is_large => {
                    Box::pin(self.writer.large_reply(&call, answer)).await
                }
                result => self.writer.reply(&call, result),
            };
            let elapsed = call.in_flight.finish(ended, call.arrived);
            if call.plan.brownout.is_some() && !ended.is_err_and(is_of_client) {
                self.guards.brownouts().observe(&call.plan, elapsed);
            }
            if let Some(recorder) = &self.recorder {
                record::ended(recorder, &call, ended, elapsed);
            }
            if let Some(ran) = unlogged {
                self.runner.replied(&call.plan, &ran, elapsed);
                span.in_scope(|| ran.log(&self.log, &call, ended));
            }
            self.metrics.turn_away();
            reply
        }
    }

    /// Refuses a message of which no more is read: by what has arrived of it, or by the header of its frame. `None`: it
    /// is not known where a reply would go, or the client expects none.
    pub fn refuse_start(
        &self,
        arrival: Arrival<'_>,
        start: &[u8],
        err: &WireError,
    ) -> Option<BytesMut> {
        let refusal = match arrival.header {
            Some(header) => Admission::refuse_frame(arrival, header, err, &self.ids),
            None => self.admission.refuse_start(arrival, start, err)?,
        };
        if refusal.error.code == Code::ServerOverloaded {
            self.admission.refused_for_memory();
        }
        Some(self.refuse(&refusal))
    }

    /// Refuses bytes that can't be cut into messages. If only the message of one frame is unusable, the frame's header
    /// suffices for a reply; otherwise the connection has to be closed.
    pub fn refuse_frame(
        &self,
        arrival: Arrival<'_>,
        err: WireError,
    ) -> Result<Decision, WireError> {
        let Some(header) = arrival.header.filter(|_| err.is_of_frame()) else {
            return Err(err);
        };
        let refusal = Admission::refuse_frame(arrival, header, &err, &self.ids);
        Ok(Decision::Reply(self.refuse(&refusal)))
    }

    /// Removes kept answers. Returns how many.
    pub fn purge(&self, purge: &Purge) -> Purged {
        self.guards.purge(purge)
    }

    /// The program that it serves.
    pub fn program(&self) -> &Arc<Program> {
        self.runner.program()
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> BytesMut {
        refusal.record(&self.metrics);
        self.writer.refusal(refusal)
    }
}

/// Whether a call failed through the fault of its client.
fn is_of_client(code: Code) -> bool {
    code.fault() == Fault::Client
}

/// The service that new calls go to. A reload replaces it.
pub struct Current(RefCell<Rc<Service>>);

impl Current {
    /// Starts with `service`.
    pub fn new(service: Service) -> Rc<Self> {
        Rc::new(Current(RefCell::new(Rc::new(service))))
    }

    /// The service at present. A call keeps the service it began with.
    pub fn get(&self) -> Rc<Service> {
        Rc::clone(&self.0.borrow())
    }

    /// Returns the buffer of a reply that was sent, for reuse.
    pub fn take_back(&self, buffer: BytesMut) {
        self.0.borrow().writer.take_back(buffer);
    }

    /// Sends new calls to `service`. The old one ends with its last call.
    pub fn replace(&self, service: Service) {
        self.0.replace(Rc::new(service));
    }
}
