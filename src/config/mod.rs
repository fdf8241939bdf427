//! The operator's TOML, as types; and the check of everything against everything.

mod problem;
mod section;

pub use problem::{Problem, Problems, Source, nearest};
pub use section::{Document, Place, Section, integer, list, to_value};
#[cfg(test)]
pub(crate) use section::{document, whole};
