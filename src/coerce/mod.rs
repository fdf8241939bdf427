//! Coerces what stores hold to the types of the IDL.
//!
//! [`Coercion`] converts a value, exactly or with an error that says why not. [`ColumnCoercion`] predicts that for a
//! whole column before there is a value. [`with_names`] gives enum values their names. [`to_json`] writes a typed value for people,
//! [`params_of_json`] reads what people wrote, and [`Sampler`] makes examples.
//! All of it is pure.

mod column;
mod enums; // parameters that a store reads by name
mod json;
mod leniency;
mod names; // of fields in JSON
mod sample;
mod value;

pub use column::{ColumnCoercion, ColumnFit, ColumnValues};
pub use enums::{enum_in, with_names};
pub use json::to_json;
pub use leniency::{LeftOut, Leniency};
pub use names::{UnknownName, field_type, known_names, params_of_json};
pub use sample::Sampler;
pub use value::{Coercion, fits_unchanged};

#[cfg(test)]
mod tests;
