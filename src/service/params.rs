//! Decodes the parameters of a call, as far as the memory of its connection allows.
//!
//! The parameters of a long call are decoded and dropped in slices, so that short calls need not wait for them.

use std::rc::Rc;

use super::call::Call;
use super::call_error::CallError;
use super::memory::Reservation;
use crate::coop::Coop;
use crate::error::Code;
use crate::idl::{Schema, StructId};
use crate::thrift::{Limits, WireError, decode_struct_counted, decode_struct_sliced};
use crate::value::{Record, Value};

/// The minimum memory that a value takes.
const VALUE_BYTES: usize = size_of::<Value>();

/// Decodes the body of `call` as the struct `of`.
pub(super) async fn decode(
    call: &Call,
    (schema, of): (&Schema, StructId),
    limits: &Limits,
) -> Result<Record, CallError> {
    let reservation = call.reservation.as_ref();
    let values_left = reservation.map_or(limits.values_max, |reservation| {
        reservation.memory().left() / VALUE_BYTES
    });
    let is_short_of_memory = values_left < limits.values_max;
    let limits = Limits {
        values_max: limits.values_max.min(values_left),
        ..*limits
    };
    if let (Some(reservation), Some(coop)) = (reservation, call.coop()) {
        // Boxed, so that its state does not enlarge the futures of short calls.
        let decoding = decode_in_slices(call, (schema, of), &limits, (reservation, coop));
        let (decoded, ran_out) = Box::pin(decoding).await;
        return params(decoded, ran_out || is_short_of_memory);
    }
    let protocol = call.wire_format.protocol;
    let decoded = decode_struct_counted(schema, of, protocol, &call.body, &limits);
    if let (Ok((_, count)), Some(reservation)) = (&decoded, reservation) {
        reservation.set(reservation.bytes() + count * VALUE_BYTES);
    }
    params(decoded, is_short_of_memory)
}

/// Decodes in slices; also returns whether the memory ran out. Other calls may reserve memory between two slices, so values
/// are counted as they are decoded.
async fn decode_in_slices(
    call: &Call,
    (schema, of): (&Schema, StructId),
    limits: &Limits,
    (reservation, coop): (&Reservation, &Coop),
) -> (Result<(Value, usize), WireError>, bool) {
    let memory = reservation.memory();
    let (own, mut ran_out) = (reservation.bytes(), false);
    let reserve = |count: usize| {
        let bytes = own + count * VALUE_BYTES;
        ran_out = bytes.saturating_sub(reservation.bytes()) > memory.left();
        if !ran_out {
            reservation.set(bytes);
        }
        !ran_out
    };
    let protocol = call.wire_format.protocol;
    let decoded =
        decode_struct_sliced((schema, of), protocol, &call.body, limits, (coop, reserve)).await;
    if let Ok((_, count)) = &decoded {
        reservation.set(own + count * VALUE_BYTES);
    }
    (decoded, ran_out)
}

/// The decoded parameters, or the call's error. `short_of_memory`: with more memory the limit of values would have been higher.
fn params(
    decoded: Result<(Value, usize), WireError>,
    short_of_memory: bool,
) -> Result<Record, CallError> {
    match decoded {
        Ok((Value::Record(params), _)) => Ok(params),
        Ok(_) => Err(CallError::new(Code::ServerInternal)),
        Err(err) if err.code == Code::WireFrameTooLarge && short_of_memory => {
            Err(CallError::new(Code::ServerOverloaded))
        }
        Err(err) => Err(CallError::bad_params(&err)),
    }
}

/// The parameters that a view runs with. Those of a long call are dropped in slices.
pub(super) struct ViewParams<'c> {
    pub(super) values: Rc<[Value]>,
    coop: Option<&'c Coop>,
}

impl<'c> ViewParams<'c> {
    pub(super) fn new(call: &'c Call, values: Vec<Value>) -> Self {
        ViewParams {
            values: Rc::from(values),
            coop: call.coop(),
        }
    }
}

impl Drop for ViewParams<'_> {
    fn drop(&mut self) {
        if let (Some(coop), Some(values)) = (self.coop, Rc::get_mut(&mut self.values)) {
            coop.drop_later(values.iter_mut().map(std::mem::take).collect());
        }
    }
}
