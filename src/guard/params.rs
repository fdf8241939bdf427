//! The values that a lookup's parameters are bound to.

use std::ops::Deref;
use std::rc::Rc;

use crate::value::Value;

/// The parameters of one lookup of one call, in the lookup's order. They are shared, since a lookup may outlive its
/// call; a clone only counts a reference.
#[derive(Clone, Debug)]
pub enum Params {
    /// Made for this lookup.
    Own(Rc<[Value]>),
    /// The lookup's only parameter is the parameter of the call at this place. This is the most common case, and
    /// copies nothing.
    OfCall(Rc<[Value]>, usize),
}

impl Deref for Params {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            Params::Own(values) => values,
            Params::OfCall(values, at) => &values[*at..=*at],
        }
    }
}
