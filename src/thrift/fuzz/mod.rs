//! Fuzz targets of the wire: framing, headers, values and replies.

pub(crate) mod apache; // Apache's generated code over this codec
mod framing; // streams in pieces
mod header; // headers of frames
mod reply; // replies of other servers
mod values; // a struct of every type

pub(crate) use framing::framing;
pub(crate) use header::header;
pub(crate) use reply::reply;
pub(crate) use values::{binary, compact};
