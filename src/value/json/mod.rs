//! JSON to values and values to JSON, straight from bytes and without an IDL.

mod read;
mod write;

pub use read::{BadPointer, Pointer};
