//! The values that a lookup's parameters are bound to.

use std::ops::Deref;
use std::rc::Rc;
use std::slice;

use crate::value::Value;

/// The parameters of one lookup of one call, in the lookup's order.
#[derive(Clone, Debug)]
pub enum Params<'a> {
    /// Made for this lookup.
    Own(Rc<[Value]>),
    /// The lookup's only parameter is the parameter of the call at this place. This is the most common case, and
    /// copies nothing.
    OfCall(&'a Rc<[Value]>, usize),
}

/// The parameters of a lookup that may outlive its call.
#[derive(Debug)]
pub(super) struct KeptParams {
    values: Rc<[Value]>,
    /// Which of them are those of the lookup; all if `None`.
    only: Option<u32>,
}

impl Params<'_> {
    /// Shares the values, so that the lookup may outlive its call.
    #[inline]
    pub(super) fn keep(&self) -> KeptParams {
        let (values, only) = match self {
            Params::Own(values) => (values, None),
            // Field ids are of 16 bits, so there are not more parameters.
            Params::OfCall(values, at) => (*values, u32::try_from(*at).ok()),
        };
        KeptParams {
            values: Rc::clone(values),
            only,
        }
    }
}

impl Deref for Params<'_> {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            Params::Own(values) => values,
            Params::OfCall(values, at) => slice::from_ref(&values[*at]),
        }
    }
}

impl Deref for KeptParams {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        match self.only {
            Some(at) => slice::from_ref(&self.values[at as usize]),
            None => &self.values,
        }
    }
}
