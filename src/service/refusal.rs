//! A message that does not become a call, and why.

use std::time::Duration;

use super::arrival::Message;
use super::call::EntryPoint;
use super::call_error::CallError;
use super::log;
use super::meta::Method;
use crate::error::Code;
use crate::metrics::ProgramMetrics;
use crate::plan::Plan;

/// A refused message.
pub(super) struct Refusal<'a> {
    pub(super) error: CallError,
    pub(super) message: Message<'a>,
    /// The view that it asks for, if there is one.
    pub(super) plan: Option<&'a Plan>,
    pub(super) entry_point: EntryPoint,
}

impl Refusal<'_> {
    /// The client expects no reply.
    pub(super) fn is_oneway(&self) -> bool {
        let of_method = self.entry_point == EntryPoint::Method;
        self.message.is_oneway() || (of_method && self.plan.is_some_and(|plan| plan.oneway))
    }

    /// Counts it for the loop, which is to be done once. Returns how long its connection is not read, if the loop has too much to do.
    pub(super) fn counted(&self) -> Option<Duration> {
        let overload = self.message.arrival.overload?;
        if self.error.code != Code::ServerOverloaded {
            return None;
        }
        overload.refused(self.plan?.deadline)
    }

    /// Logs and counts the refusal.
    pub(super) fn record(&self, metrics: &ProgramMetrics) {
        let id = self.message.request_id();
        let index = self.plan.map(|plan| plan.index);
        match self.entry_point {
            EntryPoint::Method => {
                // A message that can't be read has no name.
                let name = Some(self.message.head.name.as_str()).filter(|name| !name.is_empty());
                log::refused(name, &self.error, id);
                metrics.refused(index, self.error.code);
            }
            EntryPoint::Fetch => {
                log::refused_meta(Method::Fetch.name(), &self.error, id);
                match index {
                    Some(_) => metrics.refused(index, self.error.code),
                    None => metrics.meta(Err(self.error.code)),
                }
            }
        }
    }
}
