//! Reports what is wrong with a configuration or an IDL: where it is, what it is, and how to fix it.
//!
//! Shared by everything that reads the operator's files. It knows no file format.

mod credentials; // secrets inside a string
mod problem;
mod redact; // secrets in shown lines
mod secrets; // which names are those of secrets
mod suggest; // did you mean

pub use problem::{Problem, Problems, SourceFile};
pub use secrets::{is_secret, names_secret};
pub use suggest::{did_you_mean, list, nearest, suggest};
