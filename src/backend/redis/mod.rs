//! `kind = "redis"`: a lookup is one read command, pipelined with those of other calls.
//!
//! `get = "airport:{code}"` becomes `GET airport:JFK`. Commands come from a closed list of reads, and parameters
//! become whole arguments that are preceded by their length, so that no parameter can become a command. A parameter
//! *can* name another key of the same form (`1:admin` for `user:{id}`); an ACL user that may only read the intended
//! keys prevents that. The connection's own task reads and discards the answer to a dropped lookup: no other
//! lookup ever sees it.

// A lookup: its keys, its command, a batch of them, its answer.
mod config_keys;
mod config;
mod keys;
mod command;
mod opening; // the constant beginning of a command
mod batch;
mod answer;

// A connection: its protocol, its server, its socket, where it leads and how it is kept.
mod resp;
mod address;
mod address_map; // where named addresses lead
mod server;
mod multiplexed;
mod endpoint;
mod connection;
mod tracking; // hears what changes

// Servers whose roles change.
mod role;
mod sentinel;
mod cluster;

mod store; // one loop's connections
mod examine; // what `check --connect` asks

use std::cell::Cell;
use std::rc::Rc;

use self::cluster::Cluster;
use self::command::Command;
use self::config::Servers;
use self::connection::Connection;
use self::sentinel::{Finder, Master, Replicas};
use self::tracking::Tracking;
use super::net::Pace;
use super::{
    Answer, Answers, Ask, Backend, BatchedAsk, Changes, Compiled, Examination, Invalidate,
    LookupError, NotHeard, OnLoop, Planned,
};
use crate::config::Section;
use crate::random::Random;
use crate::value::Value;

pub use self::config::Config;
pub use self::store::Redis;

impl Backend for Redis {
    type Config = Config;
    type Lookup = Command;

    fn is_divided(config: &Config) -> bool {
        matches!(config.servers, Servers::Cluster(_))
    }

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn address(config: &Config) -> Option<(String, u16)> {
        match &config.servers {
            Servers::One(server) => server.address.tcp(),
            Servers::Cluster(_) | Servers::Master(_) => None,
        }
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Command>> {
        Command::read(section)
    }

    async fn connect(config: &Config, planned: &[Planned<'_, Command>], on: &OnLoop) -> Self {
        let mut redis = Redis {
            connections: Vec::new(),
            turn: Cell::new(0),
            replicas: None,
            cluster: None,
            tracking: None,
            spare: batch::Spare::default(),
        };
        let timeout = config.connect_timeout;
        let mut random = Random::seeded(on.seed);
        let tracked = planned.iter().filter(|of| of.invalidate.is_some());
        let how = &Invalidate::Keys;
        let prefixes: Vec<&str> = tracked.map(|of| Redis::hears_of(of.lookup, how)).collect();
        let pace = Pace::new(config.connections);
        match &config.servers {
            Servers::One(server) => {
                let connect = |_| {
                    let on = on.seeded(random.draw());
                    Connection::start_paced(server.clone(), timeout, &pace, &on)
                };
                redis.connections = (0..config.connections).map(connect).collect();
                redis.tracking = (!prefixes.is_empty()).then(|| {
                    let on = on.seeded(random.draw());
                    Tracking::start(server.clone(), prefixes, (timeout, &on))
                });
            }
            Servers::Master(sentinels) => {
                let finder = Rc::new(Finder::start(sentinels, timeout, (on, &mut random)));
                let master = || Master(Rc::clone(&finder));
                let connect = |_| {
                    let on = on.seeded(random.draw());
                    Connection::start_paced(master(), timeout, &pace, &on)
                };
                redis.connections = (0..config.connections).map(connect).collect();
                redis.tracking = (!prefixes.is_empty()).then(|| {
                    let on = on.seeded(random.draw());
                    Tracking::start(master(), prefixes, (timeout, &on))
                });
                redis.replicas = (sentinels.reads_replicas).then(|| {
                    Replicas::start(&finder, (config.connections, timeout), (on, &mut random))
                });
            }
            Servers::Cluster(seeds) => {
                redis.cluster = Some(Cluster::start(seeds.clone(), prefixes, (on, random)));
            }
        }
        redis
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Command>]) -> Examination {
        examine::examine(config, planned).await
    }

    async fn lookup(&self, command: &Command, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let asked = BatchedAsk {
            lookup: command,
            params: ask.params,
        };
        Answers::one(async |answers| self.lookup_many(&[asked], answers).await).await
    }

    fn is_heard(config: &Config, command: &Command, how: &Invalidate) -> Result<(), NotHeard> {
        let replicas = match &config.servers {
            Servers::One(_) => false,
            Servers::Master(of) => of.reads_replicas,
            Servers::Cluster(seeds) => seeds.reads_replicas(),
        };
        Err(match how {
            Invalidate::Channel { .. } => (
                "Redis itself says which keys have changed",
                "write `invalidate = true`",
            ),
            Invalidate::Keys if replicas => (
                "a replica may still have the old value after the master has said that it has changed",
                "leave `invalidate` out, or read from the master",
            ),
            Invalidate::Keys if command.is_about_time() => (
                "the time that a key has left changes by itself",
                "leave `invalidate` out",
            ),
            Invalidate::Keys => return Ok(()),
        })
    }

    fn hears_too_much(command: &Command, how: &Invalidate) -> Option<NotHeard> {
        let hears_all = *how == Invalidate::Keys && command.key.first_text().is_empty();
        hears_all.then_some((
            "the key has no fixed beginning, so the server hears of every key of this Redis that changes",
            "begin the keys of this lookup with a text of their own, such as `plane:{id}`, or leave `invalidate` out",
        ))
    }

    fn keys(
        command: &Command,
        params: &[Value],
        _how: &Invalidate,
        each: &mut dyn FnMut(&[&[u8]]),
    ) -> Option<()> {
        command.each_key(params, |key| each(&[key]))
    }

    /// The beginning of its keys.
    fn hears_of<'l>(command: &'l Command, _how: &'l Invalidate) -> &'l str {
        command.key.first_text()
    }

    fn changes(&self) -> Option<&Rc<Changes>> {
        match &self.cluster {
            Some(cluster) => cluster.changes(),
            None => Some(self.tracking.as_ref()?.changes()),
        }
    }

    fn batches(_command: &Command) -> bool {
        true
    }

    fn batching(_command: &Command) -> String {
        "one pipeline per iteration of the event loop, equal commands once".into()
    }

    /// One pipeline of the different commands: each has its own reply, which is handed out when it is there, and its own error.
    async fn lookup_many(&self, asked: &[BatchedAsk<'_, Command>], answers: Answers<'_>) {
        if let Some(cluster) = &self.cluster {
            return Box::pin(cluster.lookup_many(asked, answers)).await;
        }
        let mut batch = self.spare.take();
        batch.add(asked);
        let (commands, mut delivery) = batch.parts(asked, answers);
        if let Some(replicas) = &self.replicas {
            let (packed, count) = commands.after(0);
            let ask = replicas.ask_each(packed, count, |reply| delivery.receive(reply));
            Box::pin(ask).await;
        }
        let (packed, count) = commands.after(delivery.received());
        let ended = match count {
            0 => Ok(()),
            _ => {
                let ask = self
                    .next()
                    .ask_each(packed, count, |reply| delivery.receive(reply));
                ask.await
            }
        };
        delivery.end(&ended);
        self.spare.put(batch);
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
