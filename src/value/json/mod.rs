//! Reads JSON into values and writes values as JSON, without an IDL.

mod read;
mod write;

pub use read::{BadPointer, Pointer};
