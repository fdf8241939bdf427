//! A call on its way: what was read of it so far, and its place among the calls in flight.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Service;
use super::exception::CallError;
use super::memory::Reservation;
use super::metadata::CallMetadata;
use super::metadata::request::RequestMetadata;
use super::reply::ReplyTo;
use crate::coop::Coop;
use crate::error::Code;
use crate::idl::{Schema, StructId};
use crate::plan::Plan;
use crate::thrift::{
    DEPTH_CEILING, Limits, Shape, WireError, decode_struct_counted, decode_struct_sliced,
};
use crate::value::{Record, Value};

/// What a value takes in memory at least.
const VALUE_BYTES: usize = size_of::<Value>();
/// A body that is longer may hold so many values that they are read in turns.
const LONG_BYTES: usize = 4 * 1024;
/// How deep a value is looked into.
const NESTED_MAX: usize = DEPTH_CEILING;

/// A call whose method is known and whose parameters are not read yet.
pub struct Call {
    pub(super) wire_format: WireFormat,
    /// What its frame said and its reply's will, if frames can.
    pub(super) metadata: Option<Box<CallMetadata>>,
    pub(super) plan: Arc<Plan>,
    pub(super) sequence: i32,
    pub(super) body: Bytes,
    pub(super) arrived: Instant,
    pub(super) oneway: bool,
    pub(super) entry_point: EntryPoint,
    /// Gives the place back when the call ends, however it ends.
    pub(super) in_flight: InFlight,
}

impl Call {
    /// No reply is sent.
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }

    /// Where its reply goes.
    pub(super) fn to(&self) -> ReplyTo<'_> {
        ReplyTo::new(self.shape, self.metadata.as_deref())
    }

    /// What its frame said for its context.
    pub(super) fn given(&self) -> Option<&RequestMetadata> {
        self.metadata.as_deref().map(|metadata| &metadata.given)
    }

    /// Reads the parameters as the struct `of`, as far as there is room for them.
    pub(super) async fn decode(
        &self,
        schema: &Schema,
        of: StructId,
        limits: &Limits,
    ) -> Result<Record, CallError> {
        let reservation = self.in_flight.reservation.as_ref();
        let room = reservation.map_or(limits.values_max, |reservation| {
            reservation.memory().left() / VALUE_BYTES
        });
        let within = Limits {
            values_max: limits.values_max.min(room),
            ..*limits
        };
        let protocol = self.shape.protocol;
        let decoded = match reservation {
            // Apart, so that short calls need no room for its state.
            Some(reservation) if self.is_long() => {
                let reading = self.decode_long((schema, of), &within, reservation);
                let (decoded, lacks_room) = Box::pin(reading).await;
                return decoded_params(decoded, lacks_room || room < limits.values_max);
            }
            _ => decode_struct_counted(schema, of, protocol, &self.body, &within),
        };
        if let (Ok((_, count)), Some(reservation)) = (&decoded, reservation) {
            reservation.set(reservation.bytes() + count * VALUE_BYTES);
        }
        decoded_params(decoded, room < limits.values_max)
    }

    /// The same in turns, and whether there was no room for more. Since others may take room meanwhile, values are
    /// counted as they are read.
    async fn decode_long(
        &self,
        (schema, of): (&Schema, StructId),
        limits: &Limits,
        reservation: &Reservation,
    ) -> (Result<(Value, usize), WireError>, bool) {
        let memory = reservation.memory();
        let (own, mut lacks_room) = (reservation.bytes(), false);
        let paid = |count: usize| {
            let bytes = own + count * VALUE_BYTES;
            lacks_room = bytes.saturating_sub(reservation.bytes()) > memory.left();
            if !lacks_room {
                reservation.set(bytes);
            }
            !lacks_room
        };
        let (protocol, coop) = (self.shape.protocol, memory.pool().coop());
        let decoded =
            decode_struct_sliced((schema, of), protocol, &self.body, limits, (coop, paid)).await;
        if let Ok((_, count)) = &decoded {
            reservation.set(own + count * VALUE_BYTES);
        }
        (decoded, lacks_room)
    }

    /// Its parameters may be many.
    fn is_long(&self) -> bool {
        self.body.len() > LONG_BYTES
    }

    /// Where its parameters are forgotten in turns, if they may be many.
    pub(super) fn coop(&self) -> Option<&Coop> {
        let reservation = self
            .in_flight
            .reservation
            .as_ref()
            .filter(|_| self.is_long());
        reservation.map(|reservation| reservation.memory().pool().coop())
    }

    /// Whether there is certainly no room for a reply of this value, so that it need not be written to be forgotten.
    pub(super) fn lacks_room(&self, value: &Value, bytes_max: usize) -> bool {
        let Some(reservation) = &self.in_flight.reservation else {
            return false;
        };
        let left = reservation.memory().left();
        // With room for any reply nothing has to be added up.
        left < bytes_max && !fits(value, &mut { left }, NESTED_MAX)
    }

    /// Why a reply of so many bytes can't be sent, if it can't.
    pub(super) fn refusal_of_reply(&self, bytes: usize, bytes_max: usize) -> Option<Code> {
        if bytes > bytes_max {
            return Some(Code::CallReplyTooLarge);
        }
        let reservation = self.in_flight.reservation.as_ref()?;
        let fits = reservation.memory().takes_reply(bytes, reservation.bytes());
        (!fits).then_some(Code::ServerOverloaded)
    }
}

/// The parameters, or why there are none; `lacks_room` says whether they would have been read had there been more room.
fn decoded_params(
    decoded: Result<(Value, usize), WireError>,
    lacks_room: bool,
) -> Result<Record, CallError> {
    match decoded {
        Ok((Value::Record(params), _)) => Ok(params),
        Ok(_) => Err(CallError::new(Code::ServerInternal)),
        Err(err) if err.code == Code::WireFrameTooLarge && lacks_room => {
            Err(CallError::new(Code::ServerOverloaded))
        }
        Err(err) => Err(CallError::bad_params(&err)),
    }
}

/// The parameters of a call; those of a long one are forgotten in turns.
pub(super) struct Params<'c> {
    pub(super) values: Rc<[Value]>,
    coop: Option<&'c Coop>,
}

impl<'c> Params<'c> {
    pub(super) fn new(call: &'c Call, values: Vec<Value>) -> Self {
        Params {
            values: Rc::from(values),
            coop: call.coop(),
        }
    }
}

impl Drop for Params<'_> {
    fn drop(&mut self) {
        if let (Some(coop), Some(values)) = (self.coop, Rc::get_mut(&mut self.values)) {
            coop.drop_later(values.iter_mut().map(std::mem::take).collect());
        }
    }
}

/// Whether a value's text and bytes, which are all of a long one, fit into `left`, of which they are taken.
fn fits(value: &Value, left: &mut usize, nested_max: usize) -> bool {
    let own = match value {
        Value::Text(text) => text.as_bytes().len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 1,
    };
    let Some(rest) = left.checked_sub(own) else {
        return false;
    };
    *left = rest;
    // What is nested deeper can't be written anyway.
    let Some(nested_max) = nested_max.checked_sub(1) else {
        return true;
    };
    match value {
        Value::List(values) => values.iter().all(|value| fits(value, left, nested_max)),
        Value::Record(record) => (record.values.iter()).all(|value| fits(value, left, nested_max)),
        Value::Map(pairs) => (pairs.iter())
            .all(|(key, value)| fits(key, left, nested_max) && fits(value, left, nested_max)),
        _ => true,
    }
}

/// How a call came to its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryPoint {
    /// By the method's own name and types.
    Method,
    /// By `fetch` of the `Tributary` service.
    Fetch,
}

/// One of the calls in flight.
pub(super) struct InFlight {
    service: Rc<Service>,
    /// Its view, as an index into the metrics'.
    view: usize,
    /// It came to its end, rather than be dropped.
    ended: Cell<bool>,
    /// Its message and its parameters.
    reservation: Option<Reservation>,
}

impl InFlight {
    pub(super) fn take(
        service: &Rc<Service>,
        view: usize,
        reservation: Option<Reservation>,
    ) -> Self {
        service.in_flight.set(service.in_flight.get() + 1);
        service.metrics.loop_metrics.calls_in_flight.up();
        InFlight {
            service: Rc::clone(service),
            view,
            ended: Cell::new(false),
            reservation,
        }
    }

    pub(super) fn ended(&self, ended: Result<(), Code>, arrived: Instant) {
        self.ended.set(true);
        let view = self.service.metrics.view(self.view);
        view.ended(ended, arrived.elapsed());
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let service = &self.service;
        service.in_flight.set(service.in_flight.get() - 1);
        service.metrics.loop_metrics.calls_in_flight.down();
        if !self.ended.get() {
            service.metrics.view(self.view).hung_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_value_takes_is_added_up_only_as_far_as_it_matters() {
        let text = |len| Value::from("x".repeat(len).as_str());
        let fits = |value: &Value, left| super::fits(value, &mut { left }, NESTED_MAX);
        assert!(fits(&text(10), 10) && !fits(&text(11), 10));
        let list = Value::List(vec![text(4), text(4)]);
        assert!(fits(&list, 9) && !fits(&list, 8));
        let map = Value::Map(vec![(text(3), list.clone())]);
        assert!(fits(&map, 13) && !fits(&map, 12));
        let mut deep = Value::Null;
        for _ in 0..1000 {
            deep = Value::List(vec![deep]);
        }
        assert!(!fits(&deep, 100), "each level counts");
        assert!(
            fits(&deep, NESTED_MAX + 1),
            "and below a certain depth none does"
        );
    }
}
