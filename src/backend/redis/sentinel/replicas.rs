//! Replicas that sentinels name, to read from while at least one is in sync.
//!
//! A connection leads to a replica that no sentinel considers down and that itself says that it follows its master; each
//! connection starts at a different replica. When that is no longer true, the connection is given up, like one to a
//! demoted master. No lookup waits for a replica: if none is connected, or one fails a question, the master is asked.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::finder::Finder;
use crate::backend::format::bad_answer;
use crate::backend::net::Pace;
use crate::backend::redis::connection::Connection;
use crate::backend::redis::endpoint::{Endpoint, WRONG_SERVER};
use crate::backend::redis::multiplexed::Multiplexed;
use crate::backend::redis::resp::{Reply, one, refused};
use crate::backend::redis::role::{CHECK_EVERY, Role};
use crate::backend::redis::server::{Address, Server};
use crate::backend::{LookupError, OnLoop};
use crate::error::Code;
use crate::random::Random;

/// One loop's connections to replicas.
pub(in crate::backend::redis) struct Replicas {
    connections: Vec<Connection>,
    /// The connection to use next.
    turn: Cell<usize>,
}

impl Replicas {
    /// Starts to look for replicas, on this loop.
    pub(in crate::backend::redis) fn start(
        finder: &Rc<Finder>,
        (connections, connect_timeout): (usize, Duration),
        (on, random): (&OnLoop, &mut Random),
    ) -> Self {
        let pace = Pace::new(connections);
        let start = |_| {
            let replica = Replica(Rc::clone(finder));
            let on = on.seeded(random.draw());
            Connection::start_paced(replica, connect_timeout, &pace, &on)
        };
        Replicas {
            connections: (0..connections).map(start).collect(),
            turn: Cell::new(0),
        }
    }

    /// Like [`Connection::ask_each`], up to the first reply that is missing or that another server has to give.
    pub(in crate::backend::redis) async fn ask_each(
        &self,
        packed: &[u8],
        count: usize,
        mut deal: impl FnMut(Reply),
    ) {
        let turn = self.turn.get() % self.connections.len();
        self.turn.set(turn + 1);
        let (before, from_turn) = self.connections.split_at(turn);
        let mut in_turn = from_turn.iter().chain(before);
        let Some(connection) = in_turn.find(|connection| connection.is_up()) else {
            return;
        };
        let is_away = |reply: &Reply| matches!(reply, Reply::Error(words) if refused(words).code == Code::LookupUnavailable);
        let mut was_away = false;
        let deal = |reply: Reply| {
            was_away |= is_away(&reply);
            if was_away {
                reply.discard();
            } else {
                deal(reply);
            }
        };
        // The master is asked for the rest.
        let _all = connection.ask_each_if_up(packed, count, deal).await;
    }
}

/// One of the replicas, a different one for each attempt.
struct Replica(Rc<Finder>);

impl Endpoint for Replica {
    async fn server(&self) -> Result<Server, LookupError> {
        let finder = &self.0;
        let named = finder.replicas().await?;
        let turn = finder.replica_turn.get();
        finder.replica_turn.set(turn.wrapping_add(1));
        match named.get(turn % named.len().max(1)) {
            Some(address) => Ok(finder.server.at(address.clone())),
            None => {
                let why = "the sentinels name no replica that is up";
                Err(LookupError::new(Code::LookupUnavailable, why))
            }
        }
    }

    /// Whether the server itself says that it is a replica in sync.
    async fn check(&self, redis: &Multiplexed) -> Result<(), LookupError> {
        match self.0.within(Role::ask(redis)).await? {
            Role::Replica => Ok(()),
            role => Err(role.is_not("a replica")),
        }
    }

    /// Waits until `server` is no longer a replica in sync, or stops answering.
    async fn until_outdated(&self, server: &Server, redis: &Multiplexed) -> &'static str {
        loop {
            sleep(CHECK_EVERY).await;
            let named = self.0.replicas().await;
            if named.is_ok_and(|named| !named.contains(&server.address)) {
                return WRONG_SERVER;
            }
            // A replica that does not answer in time is given up too: another server can be asked.
            if self.check(redis).await.is_err() {
                return WRONG_SERVER;
            }
        }
    }
}

impl Finder {
    /// The replicas that are up, as listed by the first sentinel that knows them.
    async fn replicas(&self) -> Result<Vec<Address>, LookupError> {
        self.first_answer(async |sentinel| {
            match one(sentinel.ask(&self.ask_replicas, 1).await?)? {
                Reply::Array(replicas) => Ok(replicas.iter().filter_map(replica).collect()),
                _ => Err(bad_answer("a sentinel's reply is not a list of replicas")),
            }
        })
        .await
    }
}

/// The address of a replica, unless it is down.
fn replica(described: &Reply) -> Option<Address> {
    let value = |wanted: &[u8]| match described {
        Reply::Array(words) => {
            let mut pairs = words.chunks_exact(2);
            pairs.find_map(|pair| is_of(wanted, &pair[0], &pair[1]))
        }
        Reply::Map(pairs) => {
            let mut pairs = pairs.iter();
            pairs.find_map(|(key, value)| is_of(wanted, key, value))
        }
        _ => None,
    };
    let mut flags = value(b"flags")?.split(',');
    if flags.any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected")) {
        return None;
    }
    let port = value(b"port")?.parse().ok()?;
    Some(Address::Tcp(value(b"ip")?.to_owned(), port))
}

/// The text `value`, if `key` is the wanted one.
fn is_of<'a>(wanted: &[u8], key: &Reply, value: &'a Reply) -> Option<&'a str> {
    match (key, value) {
        (Reply::String(key), Reply::String(value)) if **key == *wanted => {
            std::str::from_utf8(value).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_are_up() {
        let text = |text: &'static str| Reply::String(text.into());
        let described = |flags| {
            let pairs = [
                ("name", "n"),
                ("ip", "10.0.0.1"),
                ("port", "7"),
                ("flags", flags),
            ];
            let words = pairs
                .iter()
                .flat_map(|(key, value)| [text(key), text(value)]);
            let map = pairs.iter().map(|(key, value)| (text(key), text(value)));
            [Reply::Array(words.collect()), Reply::Map(map.collect())]
        };
        for up in described("slave")
            .iter()
            .chain(&described("slave,reconf_done"))
        {
            assert_eq!(replica(up), Some(Address::Tcp("10.0.0.1".into(), 7)));
        }
        for down in ["s_down,slave", "slave,disconnected", "o_down,s_down,slave"] {
            assert_eq!(described(down).each_ref().map(replica), [None, None]);
        }
        assert_eq!(replica(&Reply::Array(vec![text("ip")])), None);
        assert_eq!(replica(&Reply::Nil), None);
    }
}
