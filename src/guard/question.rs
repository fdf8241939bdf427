//! Defines a question: one lookup of one call, as the guards see it.

use tokio::time::Instant;

use super::params::Params;
use crate::backend::{Ask, LookupError};
use crate::context::Context;
use crate::error::Code;
use crate::plan::{Allowed, LookupId};

/// One lookup of one call.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The lookup.
    pub lookup: LookupId,
    /// Its parameters.
    pub params: Params<'a>,
    /// The context of the call.
    pub context: &'a Context,
    /// When it was asked.
    pub asked: Instant,
    /// When the answer is no longer useful; never later than the call's deadline.
    pub deadline: Instant,
    /// The time that the view allows, whatever the caller does.
    pub allowed: Allowed,
    /// The index in its view of the lookup that asks.
    pub step: u32,
}

/// The time that a question has, and which lookup of the view asks.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// When it is asked.
    pub asked: Instant,
    /// When the answer is no longer useful.
    pub deadline: Instant,
    /// The time that the view allows, whatever the caller does.
    pub allowed: Allowed,
    /// The index in its view of the lookup that asks.
    pub step: u32,
}

impl Question<'_> {
    /// The question as a store sees it.
    pub(super) fn as_ask(&self) -> Ask<'_> {
        Ask {
            params: &self.params,
            context: self.context,
            deadline: self.deadline,
            allowed: self.allowed.into(),
            step: self.step as usize,
        }
    }

    /// Whether it leaves the store at least half of the time that the view allows. If not, a late answer is not its fault.
    pub(super) fn is_patient(&self) -> bool {
        self.as_ask().is_patient(self.asked)
    }

    /// The error of a question that has no answer at its deadline.
    pub(super) fn late(&self) -> LookupError {
        late(self.deadline, self.context)
    }
}

/// The store did not answer by `deadline`.
pub(super) fn late(deadline: Instant, context: &Context) -> LookupError {
    let code = if deadline >= context.deadline {
        Code::CallDeadline
    } else {
        Code::LookupTimeout
    };
    LookupError::new(code, "no answer in time")
}
