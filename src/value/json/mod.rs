//! JSON to values and values to JSON.
//!
//! Reading ([`Value::from_json`], [`Pointer::pick`]) goes straight from bytes to [`Value`], without a tree of
//! another kind between. Writing ([`to_json`]) is for people and scripts at the command line, so it follows
//! the IDL's types: enums by name, structs without their unset fields.

mod read;
mod write;

pub use read::{BadPointer, Pointer};
pub use write::to_json;
