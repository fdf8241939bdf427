//! The values that a lookup's parameters are bound to.

use std::ops::{Deref, Range};
use std::rc::Rc;

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
    of_lookup: Range<usize>,
}

impl Params<'_> {
    /// Shares the values, so that the lookup may outlive its call.
    #[inline]
    pub(super) fn keep(&self) -> KeptParams {
        let (values, of_lookup) = match self {
            Params::Own(values) => (values, 0..values.len()),
            Params::OfCall(values, at) => (*values, *at..*at + 1),
        };
        KeptParams {
            values: Rc::clone(values),
            of_lookup,
        }
    }
}

impl Deref for Params<'_> {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            Params::Own(values) => values,
            Params::OfCall(values, at) => &values[*at..=*at],
        }
    }
}

impl Deref for KeptParams {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.values[self.of_lookup.clone()]
    }
}
