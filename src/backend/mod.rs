//! The stores: one trait, and a module for each kind.
//!
//! A kind reads its own keys of `[backends.NAME]` and `[lookups.NAME]`, connects, and answers lookups. Deadlines, limits
//! and injected faults belong to [`crate::guard`]. Nothing here knows views, and only [`thrift`], which is a
//! client, knows Thrift messages.
//!
//! To add a kind, implement [`Backend`] in its own module, and add the module here and a line to the table in
//! `kinds.rs`; `src/manual/adding-a-store.md` shows how. A store that is reached over the network takes its
//! connections from `net`.

mod lookup; // a lookup, a question
mod answer;
mod lookup_error;
mod evidence; // what an outcome tells about a store
mod memory; // of answers
mod on_loop; // what a store gets
mod kind; // what a kind of store does
mod kinds; // the table of kinds

// The kinds.
pub mod closure;
pub mod file;
pub mod http;
pub mod memcached;
pub mod postgres;
pub mod mysql;
pub mod redis;
pub mod sqlite;
pub mod thrift;

// What several kinds share.
pub(crate) mod net; // connections
mod endpoints; // several equal servers
mod cancels; // abandoned statements
mod invalidate; // how a store says that answers are no longer right
mod changes; // which answers these are
mod open_connections; // of stores that get more of them under load
mod table_reloads; // files that changed
mod credentials; // in URLs
pub mod tls; // the key `tls`
pub mod sql; // the key `sql`
pub mod rows; // from rows to one value
pub mod template; // keys and URLs with parameters
pub mod format; // from bytes to a value
pub mod examine; // what `check --connect` learns
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
pub(crate) mod testing;

pub use answer::{Answer, Answers};
pub use cancels::{Cancelled, Cancels};
pub use changes::{Changed, Changes, Keys, Stamp};
pub use endpoints::{Board, Discovery, EndpointOutcome, Hedge, Hedged, Retried, Shown};
pub(crate) use evidence::{Evidence, Verdict};
pub use examine::Examination;
pub use invalidate::{Invalidate, NotHeard};
pub use kind::Backend;
pub use kinds::{AnyBackend, AnyConfig, AnyLookup, KINDS};
pub use lookup::{Ask, BatchedAsk, Compiled, Enums, Planned, Unshared, Yields};
pub use lookup_error::{LookupError, Thrown};
pub(crate) use memory::Lent;
pub use memory::{Held, StoreMemory};
pub use on_loop::{GivenUp, OnLoop};
pub use open_connections::OpenConnections;
pub use table_reloads::{TableReload, TableReloads};
