//! Keeps the connections of networked stores: one loop that reconnects, for all kinds.
//!
//! A new networked store implements [`Dial`], which is mostly two functions: `connect` makes one connection and gets a first
//! answer over it, `serve` uses it until it breaks or is old. Then it chooses where questions wait:
//!
//! - A client that pipelines is shared: run [`keep`] with an [`Availability`] of it; lookups take the client from there.
//! - A connection that answers one question at a time gets a [`Pool`]: lookups call [`Queue::ask`], and `serve` takes
//!   [`Queued`]s from the same queue.
//!
//! With a pool, [`Dial::unavailable`] calls [`Queue::refuse_if_unavailable`], so that waiting lookups fail immediately,
//! and `serve` returns a question whose connection broke with [`Queue::put_back`].
//!
//! Delays, jitter, panics of clients and the state that lookups see are the keeper's. Time limits and retries of questions
//! are the store's.

mod availability; // what lookups know of a connection
mod pace; // how often connections are made
mod keeper; // connects, serves, connects again
mod line; // whether a question that ran out of time was held up by others
mod queue; // questions that wait for a connection
mod pool; // the connections that take them
mod pool_sizes; // how many connections there are
mod extra; // one that is closed when it is not needed
mod age; // when a connection is replaced although it works
mod silence; // when a connection is replaced because it does not answer
mod address; // where a server listens
mod tcp; // a socket for a connection that lives long
mod local; // a socket on the same machine
mod tls_stream; // bytes with or without TLS
mod secure; // TLS over a socket
mod distinct; // equal questions asked once
mod durations; // which lookups are slow
mod turns; // which lookups hold the connections of a pool

pub(super) use self::address::{Address, is_refused, percent_decoded};
pub(super) use self::age::{AGE_MAX, age_max};
pub(super) use self::availability::{Availability, State};
pub(super) use self::distinct::Distinct;
pub(super) use self::durations::{Durations, Usual};
pub(super) use self::extra::Extra;
pub(super) use self::keeper::{Dial, Ended, Keeper, LASTS, keep};
pub(super) use self::line::{InLine, Line};
pub(super) use self::local::{Local, connect_local};
pub(super) use self::pace::{EVERY, Pace};
pub(super) use self::pool::Pool;
pub(super) use self::pool_sizes::{PoolSizes, unused};
pub(super) use self::queue::{Limit, Queue, Queued};
pub(super) use self::secure::Secure;
pub(super) use self::silence::Silence;
pub(super) use self::tcp::{UNACKNOWLEDGED_MAX, connect_addr, connect_tcp, race, resolve};
pub(super) use self::tls_stream::Stream;
pub(super) use self::turns::Turns;

#[cfg(test)]
pub(super) use self::availability::tests::{Counts, until};
#[cfg(test)]
pub(crate) use self::local::simulated;
