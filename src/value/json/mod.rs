//! Reads JSON into values and writes values as JSON, without an IDL.

mod large;
mod names;
mod read;
mod write;
#[cfg(test)]
mod tests;

pub use read::{BadPointer, Pointer};
