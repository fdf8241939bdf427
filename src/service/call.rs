//! An admitted call: its view is known, its parameters are not decoded yet.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::access::MayInject;
use super::in_flight::InFlight;
use super::memory::Reservation;
use super::metadata::{CallMetadata, RequestMetadata};
use super::watched::Watched;
use crate::context::{CallerId, Trace};
use crate::coop::Coop;
use crate::plan::Plan;
use crate::program::CallerCall;
use crate::recorder::{CallValues, Caller, FailedBy, Wanted};
use crate::thrift::WireFormat;
use crate::timeline::Timeline;

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
    /// Whether its caller may ask for faults; `None` if no caller may.
    pub(super) may_inject: Option<MayInject>,
    /// Counts it for its caller, if that has limits.
    pub(super) of_caller: Option<CallerCall>,
    /// The request id in its own `tributary.Context`, if the recorder may keep it.
    pub(super) named: OnceCell<Arc<str>>,
    /// Why it failed, for its line in the log, if it gets one.
    pub(super) why: OnceCell<Box<FailedBy>>,
    /// What happened in it, once its view ran, if the recorder may keep it.
    pub(super) recording: Cell<Recording>,
}

/// What the recorder gets of a call.
#[derive(Debug, Default)]
pub(super) enum Recording {
    /// Its view did not run yet.
    #[default]
    NoView,
    /// The recorder does not want it as it is: `failed` or not.
    Unwanted {
        failed: bool,
        trace: Option<Arc<Trace>>,
    },
    /// The recorder takes it.
    Wanted(Box<Taken>),
}

/// What the recorder takes of a call whose view ran.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) wanted: Wanted,
    /// It failed, or its reply is partial, as far as that was known then.
    pub(super) failed: bool,
    pub(super) timeline: Timeline,
    pub(super) trace: Option<Arc<Trace>>,
    /// Its parameters and its result, if somebody asked for them.
    pub(super) values: Option<CallValues>,
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

    /// Where what happens in it is put, if someone watches it.
    pub(super) fn watched(&self) -> Option<&Watched> {
        self.metadata.as_deref()?.watched()
    }

    /// Who called, for people: the name of its limits, or that in its certificate. A call that the admin port makes is the
    /// admin port's, whatever token it presents.
    pub(super) fn caller_name(&self) -> Caller {
        let of_limits = self.of_caller.as_ref().and_then(CallerCall::name);
        let of_limits = of_limits.filter(|_| self.watched().is_none());
        let memory = self.reservation.as_ref().map(Reservation::memory);
        let name = of_limits.or_else(|| memory.and_then(|memory| memory.name().cloned()));
        name.map_or(Caller::Connection(self.caller().0), Caller::Named)
    }

    /// The other end of its connection; `None` for a process on this machine.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.reservation.as_ref()?.memory().peer()
    }

    /// Its id in logs.
    pub(super) fn request_id(&self) -> Option<&str> {
        let own = self.named.get().map(|id| &**id);
        own.or_else(|| self.metadata.as_deref()?.request_id())
    }

    /// Its own context has this id; empty if it has none.
    pub(super) fn is_named(&self, request_id: &Arc<str>) {
        if !request_id.is_empty() {
            self.named.get_or_init(|| Arc::clone(request_id));
        }
    }

    /// Its view begins, in this trace. That is all there is of it if its connection ends before it does.
    pub(super) fn belongs_to(&self, trace: &Arc<Trace>) {
        self.recording.set(Recording::Unwanted {
            failed: false,
            trace: Some(Arc::clone(trace)),
        });
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
