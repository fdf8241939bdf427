//! `kind = "memcached"`: a lookup is one key, asked for with those of other calls.
//!
//! `get = "airport:{code}"` becomes `get airport:JFK airport:LGA ..`: each different key of a batch once, the
//! keys of each server in one question, all servers at the same time. `ring.rs` says which server has a key, as
//! other clients of the same servers do; a server that is away costs its own keys only, and they stay its own.
//! Answers are told apart by their keys, never by their places.

mod address;
mod connection;
mod examine;
mod key;
mod queue;
mod ring;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio_util::task::AbortOnDropHandle;

use self::address::Address;
use self::connection::keep;
use self::key::Get;
use self::queue::Queue;
use self::ring::Ring;
use super::{Answer, Ask, Asked, Backend, Compiled, Examination, LookupError, Planned};
use crate::config::Section;
use crate::error::Code;

/// Servers as `[backends.NAME]` describes them.
pub struct Config {
    servers: Vec<Address>,
    ring: Arc<Ring>,
    /// How many connections each loop holds to each server.
    connections: usize,
    /// What making a connection may take.
    connect_timeout: Duration,
    /// What one server may take to answer.
    answer_timeout: Duration,
}

/// One loop's connections to memcached servers.
pub struct Memcached {
    ring: Arc<Ring>,
    servers: Vec<Server>,
    answer_timeout: Duration,
    /// Rendered keys; kept so that a lookup need not allocate it.
    scratch: Cell<Vec<u8>>,
}

struct Server {
    queue: Rc<Queue>,
    _connections: Vec<AbortOnDropHandle<()>>,
}

impl Backend for Memcached {
    type Config = Config;
    type Lookup = Get;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        let servers = Address::read(section);
        let connections = section.integer("connections", 1..=8).unwrap_or(2);
        let connect_timeout = section.timeout("connect_timeout");
        let answer_timeout = section.timeout("answer_timeout");
        let servers = servers?;
        Some(Config {
            ring: Arc::new(Ring::new(&servers)),
            servers,
            connections: usize::try_from(connections).unwrap_or(2),
            connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(1)),
            answer_timeout: answer_timeout.unwrap_or(Duration::from_millis(500)),
        })
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Get>> {
        Get::read(section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Get>]) -> Self {
        let servers = config.servers.iter();
        Memcached {
            ring: Arc::clone(&config.ring),
            servers: servers
                .map(|server| Server::start(server, config))
                .collect(),
            answer_timeout: config.answer_timeout,
            scratch: Cell::default(),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Get>]) -> Examination {
        examine::examine(config, planned.len()).await
    }

    async fn lookup(&self, get: &Get, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let asked = [Asked {
            lookup: get,
            params: ask.params,
        }];
        let none = || {
            Err(LookupError::new(
                Code::ServerInternal,
                "one question, no answer",
            ))
        };
        self.lookup_many(&asked).await.pop().unwrap_or_else(none)
    }

    fn batches(_get: &Get) -> bool {
        true
    }

    fn batching(_get: &Get) -> String {
        "one multi-get per server and turn of the loop, equal keys once".into()
    }

    async fn lookup_many(&self, asked: &[Asked<'_, Get>]) -> Vec<Result<Answer, LookupError>> {
        let mut scratch = self.scratch.take();
        let keys: Vec<_> = asked
            .iter()
            .map(|ask| ask.lookup.key(ask.params, &mut scratch))
            .collect();
        self.scratch.set(scratch);
        let stored = self.stored(keys.iter().flatten()).await;
        let answer = |(ask, key): (&Asked<'_, Get>, Result<Bytes, LookupError>)| {
            let none = || {
                Err(LookupError::new(
                    Code::ServerInternal,
                    "a key without an answer",
                ))
            };
            let stored = stored.get(&key?).cloned().unwrap_or_else(none);
            ask.lookup.value(stored?).map(Answer::new)
        };
        asked.iter().zip(keys).map(answer).collect()
    }
}

impl Memcached {
    /// What the servers have for each different key.
    async fn stored(
        &self,
        keys: impl Iterator<Item = &Bytes>,
    ) -> HashMap<Bytes, Result<Option<Bytes>, LookupError>> {
        let mut stored = HashMap::new();
        let mut of_server = vec![Vec::new(); self.servers.len()];
        for key in keys {
            // Said until its server has: an answer to each key is never left out.
            let unasked = Err(LookupError::new(
                Code::ServerInternal,
                "a key was not asked for",
            ));
            if stored.insert(key.clone(), unasked).is_none() {
                of_server[self.ring.server(key)].push(key.clone());
            }
        }
        let mut questions = Vec::new();
        for (server, keys) in self.servers.iter().zip(&of_server) {
            for keys in keys.chunks(server.queue.keys_max()) {
                let keys: Rc<[Bytes]> = keys.into();
                questions.push(async move {
                    let found = server
                        .queue
                        .ask(Rc::clone(&keys), self.answer_timeout)
                        .await;
                    (keys, found)
                });
            }
        }
        for (keys, found) in join_all(questions).await {
            match found {
                Ok(found) => stored.extend(keys.iter().cloned().zip(found.into_iter().map(Ok))),
                Err(err) => stored.extend(keys.iter().map(|key| (key.clone(), Err(err.clone())))),
            }
        }
        stored
    }
}

impl Server {
    /// Starts to connect in the background, on this loop.
    fn start(address: &Address, config: &Config) -> Self {
        let queue = Rc::new(Queue::new(config.connections));
        let connection = |_| {
            let kept = keep(address.dsn(), config.connect_timeout, Rc::clone(&queue));
            AbortOnDropHandle::new(tokio::task::spawn_local(kept))
        };
        let connections = (0..config.connections).map(connection).collect();
        Server {
            queue,
            _connections: connections,
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
