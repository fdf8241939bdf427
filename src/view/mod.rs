//! Runs a view: asks every lookup of its plan under one deadline, and merges the answers into one reply.
//!
//! [`run()`] starts each lookup as soon as its inputs are known and gives it one fate; [`merge()`] makes the reply,
//! without IO or waiting. Nothing here knows wire formats or kinds of stores.

mod run; // when lookups start and end
mod start; // what one lookup asks
mod foreach;
mod step; // what it refers to, and where its value fits
mod inputs; // large values that it refers to
mod large; // values that take long to fit
mod settle; // which fate a lookup gets
mod attempt; // the lookup itself, or what is asked instead
mod fallback; // asks what comes next
mod failure; // why a call fails
mod clock;
mod merge;
mod execution;

pub use execution::Execution;
pub use failure::Failure;
pub use merge::{MergeError, merge};
pub use run::run;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod planted; // what a faster lookup gains
#[cfg(test)]
mod simulation; // real clients over a simulated network
