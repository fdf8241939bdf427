//! The client of one loop, with its pool of connections, and the clients that follow it.
//!
//! hyper's pool uses a connection for as long as it works. Therefore a client is replaced after `connection_age_max`: new
//! connections are made for new requests, and those of the old client close once they are unused.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::{Builder, Client as HyperClient};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::config::{CONNECTION_IDLE_MAX, Config};
use super::connect::Connector;
use crate::backoff::Backoff;

/// How often a connection is pinged: less often than unused connections are closed.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer to a ping may take.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How many reset streams are remembered, so that late frames for them are not taken for errors of the server.
const STREAMS_ENDED_MAX: usize = 4096;

/// Asks over connections of its own.
pub(super) type Client = HyperClient<Connector, Full<Bytes>>;

/// The client in use, and how to make the next one.
pub(super) struct Clients {
    connector: Connector,
    builder: Builder,
    current: RefCell<Client>,
    retire_at: Cell<Instant>,
    age_max: Duration,
    /// For the jitter.
    backoff: RefCell<Backoff>,
}

impl Clients {
    /// The first client.
    pub(super) fn new(config: &Config, connector: Connector, seed: u64) -> Self {
        let builder = builder(config);
        let clients = Clients {
            current: RefCell::new(builder.build(connector.clone())),
            connector,
            builder,
            retire_at: Cell::new(Instant::now()),
            age_max: config.age_max,
            backoff: RefCell::new(Backoff::seeded(seed)),
        };
        clients.set_retirement();
        clients
    }

    /// The client to use now.
    pub(super) fn current(&self) -> Client {
        if self.retire_at.get() <= Instant::now() {
            self.set_retirement();
            let next = self.builder.build(self.connector.clone());
            self.current.replace(next);
        }
        self.current.borrow().clone()
    }

    /// Makes the client in use too old.
    #[cfg(test)]
    pub(super) fn retire(&self) {
        self.retire_at.set(Instant::now());
    }

    fn set_retirement(&self) {
        let age_max = self.backoff.borrow_mut().jittered(self.age_max);
        self.retire_at.set(Instant::now() + age_max);
    }
}

fn builder(config: &Config) -> Builder {
    let mut builder = HyperClient::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(CONNECTION_IDLE_MAX)
        .pool_max_idle_per_host(config.connections)
        .http2_only(config.http2 == Some(true))
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        // Also between lookups: otherwise lookups that gave up on a dead server would hide that it is dead.
        .http2_keep_alive_while_idle(true)
        .http2_max_concurrent_reset_streams(STREAMS_ENDED_MAX)
        // A late frame for a dropped lookup is no reason to close the connection, however many were dropped.
        .http2_max_local_error_reset_streams(None);
    builder
}
