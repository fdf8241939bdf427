//! Connects to a service, one host after the other.
//!
//! With several hosts, each connection starts at a different one, and moves to the next if one can't be reached or
//! is useless. A host is useless if its connection is dropped soon after it was made, without having brought a reply.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::config::Config;
use super::exchange::{End, Exchange, Queue};
use super::hosts::Host;
use super::wire::Wire;
use crate::backend::net::{Dial, Ended};
use crate::backend::{LookupError, StoreMemory};
use crate::error::Code;

/// Makes one of the connections.
pub(super) struct Dialer {
    config: Config,
    /// The host to try next.
    next: usize,
    queue: Rc<Queue>,
    /// For large replies.
    memory: StoreMemory,
}

impl Dialer {
    /// For the connection with this number.
    pub(super) fn new(
        config: &Config,
        number: usize,
        (queue, memory): (Rc<Queue>, &StoreMemory),
    ) -> Self {
        Dialer {
            config: config.clone(),
            next: number % config.hosts.hosts.len(),
            queue,
            memory: memory.clone(),
        }
    }

    fn host(&self) -> &Host {
        &self.config.hosts.hosts[self.next]
    }
}

impl Dial for Dialer {
    type Client = ();
    type Connection = Wire;

    async fn connect(&mut self) -> Result<((), Wire), LookupError> {
        Ok(((), dial(self.host(), &self.config).await?))
    }

    async fn serve(&mut self, wire: Wire, retire_at: Instant) -> Ended {
        let exchange = Exchange::new(wire, &self.config, (retire_at, &self.memory));
        let closed = exchange.run(&self.queue).await;
        let why = unreachable(self.host(), &closed.why.detail);
        let ended = match closed.end {
            End::InOrder => Ended::InOrder,
            End::Refused => Ended::Refused(why),
            End::GivenUp => Ended::GivenUp(why),
            End::Broken => Ended::Broken(why),
        };
        closed.put_back(&self.queue);
        ended
    }

    fn age_max(&self) -> Duration {
        self.config.age_max
    }

    fn servers(&self) -> usize {
        self.config.hosts.hosts.len()
    }

    fn next_server(&mut self) {
        self.next = (self.next + 1) % self.servers();
    }

    fn unavailable(&mut self, _why: &LookupError) {
        self.queue.refuse_if_unavailable();
    }
}

/// A new connection to `host`.
pub(super) async fn dial(host: &Host, config: &Config) -> Result<Wire, LookupError> {
    let connecting = Wire::connect(host, config.hosts.secure.as_ref());
    match timeout(config.connect_timeout, connecting).await {
        Ok(wire) => wire.map_err(|err| unreachable(host, &err.to_string())),
        Err(_elapsed) => Err(unreachable(host, "no answer within `connect_timeout`")),
    }
}

/// The error of a useless host.
pub(super) fn unreachable(host: &Host, why: &str) -> LookupError {
    let detail = format!("can't connect to the Thrift service at {host}: {why}");
    LookupError::new(Code::LookupUnavailable, detail)
}
