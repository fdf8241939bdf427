//! `kind = "redis"`: a lookup is one read command, pipelined with those of other calls.
//!
//! `get = "airport:{code}"` becomes `GET airport:JFK`. Commands come from a closed list of reads and parameters
//! become whole arguments, whose length goes before them, so that no parameter can become a command. What
//! parameters *can* do is name another key of the same shape (`1:admin` for `user:{id}`); an ACL user that may
//! only read what is meant to be read is the remedy. A dropped lookup leaves its answer to be thrown away by
//! the connection's own task: no other lookup ever sees it.

// A lookup: its keys, its command, a batch of them, its answer.
mod config;
mod keys;
mod command;
mod batch;
mod answer;

// A connection: its bytes, its socket, who keeps it, where it leads.
mod resp;
mod pipe;
mod connection;
mod server;
mod door;
mod role;

// Servers that change their roles.
mod sentinel;
mod cluster;

mod examine; // what `check --connect` asks

use std::cell::Cell;
use std::rc::Rc;

use self::batch::Batch;
use self::cluster::Cluster;
use self::command::Command;
use self::config::Servers;
use self::connection::Connection;
use self::door::Door;
use self::sentinel::{Finder, Replicas};
use super::{Answer, Ask, Asked, Backend, Compiled, Examination, LookupError, Planned};
use crate::config::Section;
use crate::error::Code;

pub use self::config::Config;

/// One loop's connections to a Redis.
pub struct Redis {
    /// To one server, or to the master; none to a cluster, which has its own.
    connections: Vec<Connection>,
    /// The connection whose turn it is.
    turn: Cell<usize>,
    /// Asked before the master, where that is wanted.
    replicas: Option<Replicas>,
    cluster: Option<Cluster>,
    /// The room of the batch before.
    batch: Cell<Batch>,
}

impl Backend for Redis {
    type Config = Config;
    type Lookup = Command;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Command>> {
        Command::read(section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Command>]) -> Self {
        let mut redis = Redis {
            connections: Vec::new(),
            turn: Cell::new(0),
            replicas: None,
            cluster: None,
            batch: Cell::default(),
        };
        let timeout = config.connect_timeout;
        let connect = |door: Door| Connection::start(door, timeout);
        let turns = 0..config.connections;
        match &config.servers {
            Servers::One(server) => {
                let connections = turns.map(|_| connect(Door::Server(server.clone())));
                redis.connections.extend(connections);
            }
            Servers::Master(sentinels) => {
                let finder = Rc::new(Finder::start(sentinels, timeout));
                let connections = turns.map(|_| connect(Door::Master(Rc::clone(&finder))));
                redis.connections.extend(connections);
                redis.replicas = (sentinels.reads_replicas)
                    .then(|| Replicas::start(&finder, config.connections, timeout));
            }
            Servers::Cluster(seeds) => redis.cluster = Some(Cluster::start(seeds.clone())),
        }
        redis
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Command>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, command: &Command, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let asked = Asked {
            lookup: command,
            params: ask.params,
        };
        let answers = self.lookup_many(&[asked]).await;
        answers.into_iter().next().unwrap_or_else(|| {
            let why = "a question without an answer";
            Err(LookupError::new(Code::ServerInternal, why))
        })
    }

    fn batches(_command: &Command) -> bool {
        true
    }

    fn batching(_command: &Command) -> String {
        "one pipeline per turn of the loop, equal commands once".into()
    }

    /// One pipeline of the different commands: each has its own reply, and its own error.
    async fn lookup_many(&self, asked: &[Asked<'_, Command>]) -> Vec<Result<Answer, LookupError>> {
        if let Some(cluster) = &self.cluster {
            return Box::pin(cluster.lookup_many(asked)).await;
        }
        let mut batch = self.batch.take();
        batch.add(asked);
        let (packed, count) = batch.commands();
        let replies = match count {
            0 => Ok(Vec::new()),
            _ => match &self.replicas {
                None => self.next().ask(packed, count).await,
                Some(replicas) => match Box::pin(replicas.ask(packed, count)).await {
                    Some(replies) => Ok(replies),
                    None => self.next().ask(packed, count).await,
                },
            },
        };
        let answers = batch.answers(asked, replies);
        batch.clear();
        self.batch.set(batch);
        answers
    }
}

impl Redis {
    /// The connection to use: each in turn, but rather one that is up.
    fn next(&self) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.get() % count;
        self.turn.set(turn + 1);
        let mut from_turn = (0..count).map(|step| &self.connections[(turn + step) % count]);
        from_turn
            .find(|connection| connection.is_up())
            .unwrap_or(&self.connections[turn])
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
