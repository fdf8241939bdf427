//! Reports what is wrong with a configuration or an IDL: where it is, what it is, and how to fix it.
//!
//! Shared by everything that reads the operator's files. It knows no file format.

mod problem;
mod redact; // passwords in shown lines
mod suggest; // did you mean

pub use problem::{Problem, Problems, SourceFile};
pub use suggest::{did_you_mean, list, nearest, suggest};
