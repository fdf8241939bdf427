//! The values that a lookup's parameters are bound to.

use std::ops::Deref;
use std::rc::Rc;
use std::slice;

use super::reply_slots::Responder;
use crate::offload::drop_elsewhere;
use crate::value::Value;

/// The parameters of one lookup of one call, in the lookup's order.
#[derive(Clone, Debug)]
pub enum Params<'a> {
    /// Made for this lookup.
    Own(Rc<[Value]>),
    /// Made for this lookup, with so many values that they should not be dropped on a loop.
    Large(Rc<LargeParams>),
    /// The lookup's only parameter is the parameter of the call at this place. This is the most common case, and
    /// copies nothing.
    OfCall(&'a Rc<[Value]>, usize),
}

/// Parameters with many values. They are dropped on another thread.
#[derive(Debug)]
pub struct LargeParams(Vec<Value>);

impl Drop for LargeParams {
    fn drop(&mut self) {
        drop_elsewhere(std::mem::take(&mut self.0));
    }
}

/// The parameters of a lookup that waits in a queue, and may outlive its call.
#[derive(Debug)]
pub(super) enum KeptParams {
    /// Made for this lookup.
    Own(Rc<[Value]>),
    /// Made for this lookup, and large.
    Large(Rc<LargeParams>),
    /// That of the call at this place. What answers the lookup keeps them for all lookups of the call.
    OfCall(usize),
}

impl Params<'_> {
    /// Parameters that were made for this lookup and have many values.
    pub fn large(values: Vec<Value>) -> Self {
        Params::Large(Rc::new(LargeParams(values)))
    }

    /// Shares the values with what answers the lookup, so that the lookup may outlive its call.
    #[inline]
    pub(super) fn keep(&self, responder: &Responder) -> KeptParams {
        match self {
            Params::Own(values) => KeptParams::Own(Rc::clone(values)),
            Params::Large(values) => KeptParams::Large(Rc::clone(values)),
            Params::OfCall(values, at) => {
                responder.keep_params_of_call(values);
                KeptParams::OfCall(*at)
            }
        }
    }
}

impl KeptParams {
    /// The values of the lookup that `responder` answers.
    #[inline]
    pub(super) fn values<'p>(&'p self, responder: &'p Responder) -> &'p [Value] {
        match self {
            KeptParams::Own(values) => values,
            KeptParams::Large(values) => &values.0,
            KeptParams::OfCall(at) => {
                let params = responder.params_of_call().unwrap_or_default();
                params.get(*at).map_or(&[], slice::from_ref)
            }
        }
    }
}

impl Deref for Params<'_> {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            Params::Own(values) => values,
            Params::Large(values) => &values.0,
            Params::OfCall(values, at) => slice::from_ref(&values[*at]),
        }
    }
}
