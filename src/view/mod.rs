//! Runs a view: asks everything its plan says under one deadline, and merges the answers into one reply.
//!
//! [`run`] asks each lookup as soon as its inputs are known and gives it one fate; [`merge`] makes the reply, purely.
//! Nothing here knows of bytes on a wire or of kinds of stores.

mod failure;
mod outcome;
mod clock;
mod run;
mod settle;
mod step;
mod merge;

pub use failure::Failure;
pub use merge::{MergeError, merge};
pub use outcome::Ran;
pub use run::run;
