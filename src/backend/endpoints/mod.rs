//! Balances questions among several equal servers: where they are, which of them works, and which is asked next.
//!
//! In: the key `endpoints`, one or more [sources](source). A task of its own resolves them from time to time ([`watch`]) and
//! replaces the [`Endpoints`] in use: those that stay keep their connections and what is known of them. Out: answers, each from
//! the endpoint that [`pick`] has chosen. To choose one never waits for anything.
//!
//! An empty answer of the resolver, or a failure, removes no endpoint.

mod source; // where the servers are listed
mod target; // one server
mod config; // the keys
mod targets_file; // a file that lists servers
mod dns; // questions to name servers
mod resolve; // asks one source
mod watch; // the task that keeps the set current
mod load; // how busy and how fast an endpoint is
mod endpoint; // one server and what is known of it
mod set; // all of them
mod balanced; // asks them
mod pick; // which is asked next
mod board; // counts, for scrapes
mod retry; // once more, at another endpoint
mod hedge; // the key that asks a second endpoint
mod latencies; // how long questions take
mod hedges; // when a second endpoint is asked
mod hedged; // asks it
mod examine; // for `check --connect`
#[cfg(test)]
mod tests;

pub(super) use balanced::Endpoints;
pub use board::{Board, Discovery, EndpointOutcome, Hedged, Retried, Shown};
pub(super) use config::Config;
pub(super) use endpoint::Client;
pub use hedge::Hedge;
pub(super) use target::Target;
