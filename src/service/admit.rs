//! A message to what becomes of it, at once and without a lookup: a call to be served, or an answer.
//!
//! In: one whole message and what is known beside it. Out: an [`Admission`]. Refused are unknown methods, wrong message
//! types, callers who may not, calls beyond the limits, and frames that can't be opened. Parameters are
//! not read here.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;
use tokio::time::Instant;

use super::call::{Call, EntryPoint, InFlight};
use super::caller::{self, Peer};
use super::exception::CallError;
use super::memory::{ConnectionMemory, Reservation};
use super::metadata::CallMetadata;
use super::reply::ReplyTo;
use super::{Service, log};
use crate::error::Code;
use crate::plan::Plan;
use crate::thrift::{Head, HeadOut, Header, WireError, WireFormat, read_head};
use crate::value::Text;

/// Room for any head: a name, which is bounded, and a few numbers.
const HEAD_BYTES_MAX: usize = 512;

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The wire format it came in.
    pub wire_format: WireFormat,
    /// What its frame said beside it, where frames can.
    pub header: Option<&'a Header>,
    /// Whom it came from.
    pub peer: &'a Peer,
    /// Where its bytes are counted, if they are.
    pub memory: Option<&'a Rc<ConnectionMemory>>,
    /// When it was whole.
    pub at: Instant,
}

impl Arrival<'_> {
    /// For so many bytes that are kept of it.
    pub(super) fn reservation(&self, bytes: usize) -> Option<Reservation> {
        self.memory.map(|memory| Reservation::new(memory, bytes))
    }
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

impl Service {
    /// Reads a message's head and decides what becomes of it. `Err`: the head can't be read, so there is
    /// nobody to answer and the connection has to be closed.
    pub fn admit(
        self: &Rc<Self>,
        arrival: Arrival<'_>,
        message: &Bytes,
    ) -> Result<Admission, WireError> {
        let (head, body) = read_head(arrival.shape.protocol, message)?;
        let mut metadata = self.metadata(&arrival);
        let plan = self.plan_of(&head.name);
        if plan.is_none()
            && let Some(admission) = self.admit_meta(&arrival, &head, &body, &mut metadata)
        {
            return Ok(admission);
        }
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
                let id = metadata.as_deref().and_then(CallMetadata::request_id);
                log::refused(Some(head.name.as_str()), &error, id);
                self.metrics.refused(plan.map(|plan| plan.index), code);
                let to = ReplyTo::new(arrival.shape, metadata.as_deref());
                return Ok(if oneway {
                    Admission::Nothing
                } else {
                    Admission::Reply(self.refuse(to, &head, &error))
                });
            }
        };
        let reservation = arrival.reservation(message.len());
        Ok(Admission::Call(Call {
            shape: arrival.shape,
            metadata,
            plan: Arc::clone(plan),
            sequence: head.sequence,
            body,
            arrived: arrival.at,
            oneway,
            entry_point: EntryPoint::Method,
            in_flight: InFlight::take(self, plan.index, reservation),
        }))
    }

    /// Why a call of `plan` is not begun, if it is not.
    pub(super) fn refusal(&self, plan: &Plan, arrival: &Arrival<'_>) -> Option<Code> {
        let tokens = &self.program.tokens;
        let allow = plan.allow.as_deref();
        if let Some(code) = allow.and_then(|allow| caller::denial(allow, tokens, arrival)) {
            return Some(code);
        }
        (self.in_flight.get() >= self.calls_max).then_some(Code::ServerOverloaded)
    }

    /// The bytes of an exception for a call that has no view to declare one.
    fn refuse(&self, to: ReplyTo<'_>, head: &Head, error: &CallError) -> BytesMut {
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

    /// An answer to a message that is not read to its end, from what has come of it, or from its frame's header where
    /// it has one. `None`: that does not say whom to answer, or nobody waits for an answer.
    pub fn refuse_start(
        &self,
        arrival: Arrival<'_>,
        start: &[u8],
        err: &WireError,
    ) -> Option<BytesMut> {
        if let Some(header) = arrival.header {
            return Some(self.refuse_unread(&arrival, header, err));
        }
        let start = Bytes::copy_from_slice(&start[..start.len().min(HEAD_BYTES_MAX)]);
        let (head, _) = read_head(arrival.wire_format.protocol, &start).ok()?;
        let plan = self.plan_of(&head.name);
        if head.kind != TMessageType::Call || plan.is_some_and(|plan| plan.oneway) {
            return None;
        }
        let error = CallError {
            about: Some(err.detail.clone()),
            ..CallError::new(err.code)
        };
        log::refused(Some(head.name.as_str()), &error, None);
        self.metrics.refused(plan.map(|plan| plan.index), err.code);
        Some(self.refuse(ReplyTo::new(arrival.wire_format, None), &head, &error))
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
        Ok(Admission::Reply(self.refuse_unread(&arrival, header, &err)))
    }

    /// An answer to a message that is not read, in a frame that is.
    fn refuse_unread(&self, arrival: &Arrival<'_>, header: &Header, err: &WireError) -> BytesMut {
        let error = CallError {
            about: Some(err.detail.clone()),
            ..CallError::new(err.code)
        };
        let head = HeadOut {
            name: "",
            kind: TMessageType::Exception,
            sequence: header.sequence(),
        };
        self.metrics.refused(None, err.code);
        let metadata = self.metadata(arrival);
        let id = metadata.as_deref().and_then(CallMetadata::request_id);
        log::refused(None, &error, id);
        let to = ReplyTo::new(arrival.shape, metadata.as_deref());
        self.write_exception(to, head, None, &error)
    }

    /// What the message's frame said and its reply's will, if frames can.
    fn metadata(&self, arrival: &Arrival<'_>) -> Option<Box<CallMetadata>> {
        let of = |header| CallMetadata::of(header, &self.random);
        arrival.header.map(of)
    }

    /// The plan of a served method.
    fn plan_of(&self, name: &Text) -> Option<&Arc<Plan>> {
        let name = bare(name.as_str(), &self.program.service().name)?;
        self.program.plans.get(name)
    }
}

/// `method`, or `Service:method` when that is the served service.
fn bare<'a>(name: &'a str, service: &str) -> Option<&'a str> {
    match name.split_once(':') {
        None => Some(name),
        Some((prefix, method)) => (prefix == service).then_some(method),
    }
}
