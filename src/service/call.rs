//! A call on its way: what was read of it so far, and its place among the calls in flight.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Service;
use super::headers::Given;
use super::reply::ReplyTo;
use crate::error::Code;
use crate::view::Plan;

/// A call whose method is known and whose parameters are not read yet.
pub struct Call {
    pub(super) to: ReplyTo,
    /// What its frame said, if it could.
    pub(super) headers: Option<Box<Given>>,
    pub(super) plan: Arc<Plan>,
    pub(super) sequence: i32,
    pub(super) body: Bytes,
    pub(super) arrived: Instant,
    pub(super) oneway: bool,
    pub(super) door: Door,
    /// Gives the place back when the call ends, however it ends.
    pub(super) slot: Slot,
}

impl Call {
    /// No reply is sent.
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }
}

/// How a call came to its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// By the method's own name and types.
    Typed,
    /// By `fetch` of the `Tributary` service.
    Untyped,
}

/// One of the calls in flight.
pub(super) struct Slot {
    service: Rc<Service>,
    /// Its view, as an index into the metrics'.
    view: usize,
    /// It came to its end, rather than be dropped.
    ended: Cell<bool>,
}

impl Slot {
    pub(super) fn take(service: &Rc<Service>, view: usize) -> Self {
        service.in_flight.set(service.in_flight.get() + 1);
        service.metrics.of_loop.calls_in_flight.up();
        Slot {
            service: Rc::clone(service),
            view,
            ended: Cell::new(false),
        }
    }

    pub(super) fn ended(&self, ended: Result<(), Code>, arrived: Instant) {
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
