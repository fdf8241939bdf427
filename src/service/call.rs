//! An admitted call: its view is known, its parameters are not decoded yet.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::in_flight::InFlight;
use super::memory::Reservation;
use super::metadata::{CallMetadata, RequestMetadata};
use crate::context::CallerId;
use crate::coop::Coop;
use crate::plan::Plan;
use crate::program::CallerCall;
use crate::thrift::WireFormat;

/// A longer body may hold so many values that they are decoded and dropped in slices.
const LONG_BYTES: usize = 4 * 1024;

/// An admitted call.
pub struct Call {
    pub(super) wire_format: WireFormat,
    /// The metadata of its frame and of its reply's, if the transport has headers.
    pub(super) metadata: Option<Box<CallMetadata>>,
    pub(super) plan: Arc<Plan>,
    pub(super) sequence: i32,
    pub(super) body: Bytes,
    pub(super) arrived: Instant,
    pub(super) oneway: bool,
    pub(super) entry_point: EntryPoint,
    /// The memory of its message and parameters, if it is counted.
    pub(super) reservation: Option<Reservation>,
    pub(super) in_flight: InFlight,
    /// Whether its caller may ask for faults; `None` if nobody may.
    pub(super) may_inject: Option<bool>,
    /// Counts it for its caller, if that has limits.
    pub(super) _of_caller: Option<CallerCall>,
}

/// The way in which a call reached its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryPoint {
    /// The method of the operator's service, with its own types.
    Method,
    /// `fetch` of the `Tributary` service, with values that describe themselves.
    Fetch,
}

impl Call {
    /// The call gets no reply.
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }

    /// The part of its context that its frame carries.
    pub(super) fn request_metadata(&self) -> Option<&RequestMetadata> {
        self.metadata.as_deref().map(|metadata| &metadata.given)
    }

    /// How long it may take, as far as that is known before its parameters are decoded.
    pub(super) fn time(&self) -> Duration {
        let budget = self.request_metadata().and_then(|given| given.budget);
        budget.map_or(self.plan.deadline, |budget| budget.min(self.plan.deadline))
    }

    /// Where it came from.
    pub(super) fn caller(&self) -> CallerId {
        let reservation = self.reservation.as_ref();
        reservation.map_or_else(CallerId::default, |of| of.memory().caller())
    }

    /// Its id in logs.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.metadata.as_deref()?.request_id()
    }

    /// The budget for decoding and dropping its parameters, if they may be many.
    pub(super) fn coop(&self) -> Option<&Coop> {
        if self.body.len() <= LONG_BYTES {
            return None;
        }
        let reservation = self.reservation.as_ref()?;
        Some(reservation.memory().pool().coop())
    }
}
