//! What a lookup's parameters are bound to.

use std::ops::Deref;
use std::rc::Rc;

use crate::value::Value;

/// The parameters of one lookup of one call, in the lookup's order. A lookup may outlive its call, so they are its
/// own, or shared.
#[derive(Clone, Debug)]
pub enum Params {
    /// Made for it.
    Own(Vec<Value>),
    /// The only one is the parameter of the call at this place, as is most common: no copy is made.
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
