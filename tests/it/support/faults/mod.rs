//! A TCP proxy that misbehaves on command, between a server and one of its stores.
//!
//! Faults that Toxiproxy has carry its names, attributes and meaning, so that a result can be repeated with it: `latency`,
//! `bandwidth`, `slow_close`, `timeout`, `reset_peer`, `slicer` and `limit_data`, each with a direction and a toxicity. As
//! there, a `timeout` of zero drops bytes until it is taken away, and the connection goes on without them. Ours are
//! `hold` and `corrupt`, and a proxy that refuses connections or flaps.
//!
//! It promises that bytes arrive in order, that a fault acts on open connections as well as on new ones, and that one seed
//! makes the same choices for the same connections. It does not promise the same bytes in the same chunks: the kernel
//! cuts them. It works on streams, so it cannot lose or reorder packets.

mod toxic; // what can be wrong with a connection
mod queue; // when which bytes leave
mod pump; // one direction of one connection
mod proxy; // the listening socket and its connections
mod tests;

pub(crate) use proxy::Proxy;
pub(crate) use toxic::{Conditions, Direction, Reach, Toxic};
