//! Writes replies as bytes: a result, a declared exception, or a `TApplicationException`.
//!
//! In: the outcome of a call, a refusal, or an answer of the `Tributary` service. Out: one message in the transport and
//! protocol of the call. A reply over the limits is replaced by an exception.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use thrift::protocol::TMessageType;

use super::call::{Call, EntryPoint};
use super::call_error::{CallError, ErrorCodes};
use super::large_reply::LargeReply;
use super::log::CallLog;
use super::meta::{MetaCall, Method, fetch};
use super::metadata::CallMetadata;
use super::refusal::Refusal;
use super::reply_body::with_body;
use super::reply_limit::ReplyLimit;
use super::report::ReportWriter;
use super::runner::Answer;
use crate::error::Code;
use crate::idl::{Schema, StructId, Type};
use crate::metrics::Served;
use crate::offload::drop_elsewhere;
use crate::plan::{Plan, ReplyShape};
use crate::program::Program;
use crate::thrift::{
    Appendix, Body, HeadOut, HeaderOut, WireError, WireFormat, write_message_with,
};
use crate::value::Value;

/// The maximum capacity that a reply's buffer gets before it is needed.
const CAPACITY_MAX: usize = 64 * 1024;
/// A buffer with more capacity is not kept for the next reply: the whole capacity counts as memory of that reply's client.
const SPARE_BYTES_MAX: usize = 8 * 1024;
/// Enough for nearly every exception.
const EXCEPTION_BYTES: usize = 192;
/// A larger buffer takes long to give back to the system.
const LARGE_BUFFER: usize = 1024 * 1024;

/// Writes the replies of one service.
pub(super) struct ReplyWriter {
    program: Arc<Program>,
    reports: ReportWriter,
    reply_bytes_max: usize,
    /// The length of the last result: the capacity that the next one gets.
    last_bytes: Cell<usize>,
    /// The buffer of a reply that was sent, for the next one.
    spare: Cell<BytesMut>,
    log: Rc<CallLog>,
}

/// The reply to a call, unless the call is oneway, and how the call ended.
pub(super) struct Written {
    pub(super) reply: Option<BytesMut>,
    pub(super) ended: Result<Served, Code>,
}

/// Where a reply goes: it repeats the shape, name and sequence id of its call.
#[derive(Clone, Copy)]
struct ReplyTo<'a> {
    wire_format: WireFormat,
    name: &'a str,
    sequence: i32,
    metadata: Option<&'a CallMetadata>,
}

impl ReplyWriter {
    pub(super) fn new(program: &Arc<Program>, reply_bytes_max: usize, log: &Rc<CallLog>) -> Self {
        ReplyWriter {
            program: Arc::clone(program),
            reports: ReportWriter::new(program),
            reply_bytes_max,
            last_bytes: Cell::new(0),
            spare: Cell::default(),
            log: Rc::clone(log),
        }
    }

    /// The reply to a call that ran.
    pub(super) fn reply(&self, call: &Call, result: Result<Answer, CallError>) -> Written {
        let limit = ReplyLimit {
            reservation: call.reservation.as_ref(),
            bytes_max: self.reply_bytes_max,
        };
        let result = match result {
            Ok(answer) if limit.excludes(&answer.value) => {
                Err(CallError::new(Code::ServerOverloaded))
            }
            result => result,
        };
        let ended = result
            .as_ref()
            .map(|answer| answer.served)
            .map_err(|err| err.code);
        if call.oneway {
            return Written { reply: None, ended };
        }
        let reply = self.encode(call, result);
        match limit.refusal(reply.len()) {
            None => Written {
                reply: Some(reply),
                ended,
            },
            Some(code) => Written {
                reply: Some(self.encode(call, Err(CallError::new(code)))),
                ended: Err(code),
            },
        }
    }

    /// As [`ReplyWriter::reply`], with the result encoded on another thread.
    pub(super) async fn large_reply(&self, call: &Call, answer: Answer) -> Written {
        if call.oneway {
            return self.reply(call, Ok(answer));
        }
        let (plan, protocol) = (&*call.plan, call.wire_format.protocol);
        let report = answer.reported.as_ref().and_then(|timeline| {
            let mut bytes = BytesMut::new();
            self.reports
                .report(plan, protocol, timeline)?
                .append(&mut bytes);
            Some(bytes.freeze())
        });
        let reply = LargeReply::of(call, &self.program, answer.value, report);
        let err = match reply.encode().await {
            Ok(Ok(reply)) => {
                let limit = ReplyLimit {
                    reservation: call.reservation.as_ref(),
                    bytes_max: self.reply_bytes_max,
                };
                match limit.refusal(reply.len()) {
                    None => {
                        return Written {
                            reply: Some(reply),
                            ended: Ok(answer.served),
                        };
                    }
                    Some(code) => CallError::new(code),
                }
            }
            Ok(Err(err)) => {
                let code = Code::ServerInternal;
                self.log.unwritable(&plan.method, code, &err.detail);
                CallError::new(code)
            }
            Err(not_done) => CallError::of_work(not_done),
        };
        self.reply(call, Err(err))
    }

    /// The exception for a message that is refused.
    pub(super) fn refusal(&self, refusal: &Refusal<'_>) -> BytesMut {
        let message = &refusal.message;
        let name = message.head.name.as_str();
        let (name, declares) = match refusal.entry_point {
            EntryPoint::Method => {
                // Without the name of its service.
                let name = name.split_once(':').map_or(name, |(_, method)| method);
                (
                    name,
                    refusal
                        .plan
                        .map(|plan| (plan, &**self.program.schema(plan))),
                )
            }
            EntryPoint::Fetch => (Method::Fetch.name(), Some(Method::Fetch.signature())),
        };
        let to = ReplyTo {
            wire_format: message.arrival.wire_format,
            name,
            sequence: message.head.sequence,
            metadata: message.metadata.as_deref(),
        };
        self.exception(to, declares, &refusal.error)
    }

    /// The answer of the `Tributary` service to a call.
    pub(super) fn answer(&self, call: &MetaCall<'_>, answer: Result<Value, CallError>) -> BytesMut {
        let message = &call.message;
        let to = ReplyTo {
            wire_format: message.arrival.wire_format,
            name: call.method.name(),
            sequence: message.head.sequence,
            metadata: message.metadata.as_deref(),
        };
        match answer {
            Ok(value) => self.meta_result(to, call.method, &value),
            Err(err) => self.exception(to, Some(call.method.signature()), &err),
        }
    }

    /// Keeps the buffer of a reply that was sent for the next one, unless it is long.
    pub(super) fn take_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        // Reclaims the part of the buffer that was sent.
        if buffer.try_reclaim(self.last_bytes.get()) && buffer.capacity() <= SPARE_BYTES_MAX {
            self.spare.set(buffer);
        } else if buffer.capacity() > LARGE_BUFFER {
            drop_elsewhere(buffer);
        }
    }

    /// The bytes of a call's result or exception.
    fn encode(&self, call: &Call, result: Result<Answer, CallError>) -> BytesMut {
        let plan = &*call.plan;
        let (name, declares) = match call.entry_point {
            EntryPoint::Method => (&*plan.method, (plan, &**self.program.schema(plan))),
            EntryPoint::Fetch => (Method::Fetch.name(), Method::Fetch.signature()),
        };
        let to = ReplyTo {
            wire_format: call.wire_format,
            name,
            sequence: call.sequence,
            metadata: call.metadata.as_deref(),
        };
        match (result, call.entry_point) {
            (Ok(answer), EntryPoint::Method) => self.result(to, plan, &answer),
            (Ok(answer), EntryPoint::Fetch) => self.fetched(to, plan, answer),
            (Err(err), _) => self.exception(to, Some(declares), &err),
        }
    }

    /// A result by the types of its method; `server.internal` if the value can't be written.
    fn result(&self, to: ReplyTo<'_>, plan: &Plan, answer: &Answer) -> BytesMut {
        let schema = &**self.program.schema(plan);
        let report = (answer.reported.as_ref())
            .and_then(|timeline| self.reports.report(plan, to.wire_format.protocol, timeline));
        let report = report.as_ref().map(|report| report as &dyn Appendix);
        let mut out = self.spare.take();
        out.reserve(self.last_bytes.get().min(CAPACITY_MAX));
        let written = with_body(plan, schema, &answer.value, report, |body| {
            to.write(&mut out, TMessageType::Reply, body, None)
        });
        match written {
            Ok(()) => {
                self.last_bytes.set(out.len());
                out
            }
            Err(err) => self.unwritable(to, None, &err),
        }
    }

    /// A result of `fetch`, with its report, as a value that describes itself.
    fn fetched(&self, to: ReplyTo<'_>, plan: &Plan, answer: Answer) -> BytesMut {
        let (schema, protocol) = (self.program.schema(plan), to.wire_format.protocol);
        let timeline = answer.reported.as_ref();
        let report = timeline.and_then(|timeline| self.reports.report(plan, protocol, timeline));
        let report = report.map(|report| {
            let mut bytes = BytesMut::new();
            report.append(&mut bytes);
            bytes.freeze()
        });
        let value = fetch::result(
            schema,
            plan,
            answer.value,
            report.map(|bytes| (protocol, bytes)),
        );
        self.meta_result(to, Method::Fetch, &value)
    }

    /// A result of a method of the `Tributary` service.
    fn meta_result(&self, to: ReplyTo<'_>, method: Method, value: &Value) -> BytesMut {
        let (plan, schema) = method.signature();
        let ReplyShape::Whole(ty) = &plan.reply else {
            return self.exception(
                to,
                Some((plan, schema)),
                &CallError::new(Code::ServerInternal),
            );
        };
        let fields = [(0, ty, value)];
        let body = Body::Fields {
            schema,
            fields: &fields,
        };
        let mut out = BytesMut::new();
        match to.write(&mut out, TMessageType::Reply, body, None) {
            Ok(()) => out,
            Err(err) => self.unwritable(to, Some((plan, schema)), &err),
        }
    }

    fn unwritable(
        &self,
        to: ReplyTo<'_>,
        declares: Option<(&Plan, &Schema)>,
        err: &WireError,
    ) -> BytesMut {
        let code = Code::ServerInternal;
        self.log.unwritable(to.name, code, &err.detail);
        self.exception(to, declares, &CallError::new(code))
    }

    /// The exception that a closure threw, if the method can throw it, or else the one that it declares for the error.
    fn declared(
        &self,
        plan: &Plan,
        schema: &Schema,
        error: &CallError,
    ) -> Option<(i16, StructId, Value)> {
        match error.of_closure(plan, schema) {
            Some(Ok(declared)) => return Some(declared),
            Some(Err(why)) => {
                let exception = error.thrown.as_ref().map(|thrown| &*thrown.exception);
                self.log
                    .unthrowable(&plan.label, exception.unwrap_or_default(), &why);
            }
            None => {}
        }
        error.declared(plan, schema)
    }

    /// The exception that the method declares for the error, otherwise a `TApplicationException`.
    fn exception(
        &self,
        to: ReplyTo<'_>,
        declares: Option<(&Plan, &Schema)>,
        error: &CallError,
    ) -> BytesMut {
        let codes = Some(error.codes());
        let mut out = BytesMut::with_capacity(EXCEPTION_BYTES);
        if let Some((plan, schema)) = declares
            && let Some((id, of, value)) = self.declared(plan, schema, error)
        {
            let ty = Type::Struct(of);
            let body = Body::Fields {
                schema,
                fields: &[(id, &ty, &value)],
            };
            if to.write(&mut out, TMessageType::Reply, body, codes).is_ok() {
                return out;
            }
        }
        let body = Body::ApplicationError {
            kind: error.kind(),
            message: &error.message(),
        };
        to.write(&mut out, TMessageType::Exception, body, codes)
            .expect("an exception with a name that was read can be written");
        out
    }
}

impl ReplyTo<'_> {
    fn write(
        self,
        out: &mut BytesMut,
        kind: TMessageType,
        body: Body<'_>,
        codes: Option<ErrorCodes>,
    ) -> Result<(), WireError> {
        let pairs = self.metadata.map(|metadata| metadata.pairs(codes));
        let header = HeaderOut {
            sequence: self.metadata.map_or(0, |metadata| metadata.sequence),
            pairs: pairs.as_deref().unwrap_or_default(),
        };
        let head = HeadOut {
            name: self.name,
            kind,
            sequence: self.sequence,
        };
        write_message_with(out, self.wire_format, head, body, header)
    }
}
