//! The wire under fuzzing: framing, headers, values and replies.

mod framing; // streams in pieces
mod header; // what frames say beside their messages
mod reply; // what other servers say
mod values; // a struct of every type

pub(crate) use framing::framing;
pub(crate) use header::header;
pub(crate) use reply::reply;
pub(crate) use values::{binary, compact};
