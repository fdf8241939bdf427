//! `kind = "memcached"`: a lookup is one key, fetched together with those of other calls.
//!
//! `get = "airport:{code}"` becomes `get airport:JFK airport:LGA ..`: each different key of a batch once, the
//! keys of each server in one question, all servers at the same time. `ring.rs` finds the server of a key as
//! other clients of the same servers do. If a server is down, only its own keys fail; they do not move to others.
//! Answers are matched by their keys, never by their positions.

mod address;
mod account; // of servers that ask for one
mod config;
mod ring; // which server has a key
mod key;
mod value_sizes;
mod answer; // from bytes to values
mod wire;
mod connection;
mod examine;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::timeout;

use self::account::Account;
use self::address::Address;
pub use self::config::Config;
use self::connection::Dialer;
use self::key::Get;
use self::ring::Ring;
use self::value_sizes::{ValueSizes, Values};
use super::net::{self, Distinct, Limit, Pool};
use super::{Answer, Ask, Backend, BatchedAsk, Compiled, Examination, LookupError, Planned};
use crate::config::Section;
use crate::error::Code;
use crate::random::Random;

/// One loop's connections to memcached servers.
pub struct Memcached {
    ring: Arc<Ring>,
    servers: Vec<Server>,
    answer_timeout: Duration,
    /// A buffer for rendering keys, kept so that a lookup need not allocate one.
    scratch: Cell<Vec<u8>>,
}

/// The connections to one server.
struct Server {
    pool: Pool<Rc<[Bytes]>, Values>,
    sizes: Rc<ValueSizes>,
}

/// Questions that may wait for a connection to one server.
const LIMIT: Limit = Limit {
    questions_max: 4096,
    shed: "too many questions wait for one memcached server",
};

impl Backend for Memcached {
    type Config = Config;
    type Lookup = Get;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        let servers = Address::read(section);
        let problems = section.document().problems.len();
        let account = Account::read(section);
        let has_account = section.document().problems.len() == problems;
        let connections = section.integer("connections", 1..=8).unwrap_or(2);
        let connect_timeout = section.timeout("connect_timeout");
        let answer_timeout = section.timeout("answer_timeout");
        let age_max = net::age_max(section);
        let servers = servers.filter(|_| has_account)?;
        Some(Config {
            ring: Arc::new(Ring::new(&servers)),
            servers,
            account: account.map(Arc::new),
            connections: usize::try_from(connections).unwrap_or(2),
            connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(1)),
            answer_timeout: answer_timeout.unwrap_or(Duration::from_millis(500)),
            age_max,
        })
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Get>> {
        Get::read(section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Get>], seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let servers = config.servers.iter();
        Memcached {
            ring: Arc::clone(&config.ring),
            servers: servers
                .map(|server| Server::start(server, config, &mut random))
                .collect(),
            answer_timeout: config.answer_timeout,
            scratch: Cell::default(),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Get>]) -> Examination {
        examine::examine(config, planned.len()).await
    }

    async fn lookup(&self, get: &Get, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let asked = [BatchedAsk {
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
        "one multi-get per server and iteration of the event loop, equal keys once".into()
    }

    async fn lookup_many(&self, asked: &[BatchedAsk<'_, Get>]) -> Vec<Result<Answer, LookupError>> {
        let mut scratch = self.scratch.take();
        let keys: Vec<_> = asked
            .iter()
            .map(|ask| ask.lookup.key(ask.params, &mut scratch))
            .collect();
        self.scratch.set(scratch);
        // Each different key is asked for once.
        let mut distinct = Distinct::with_capacity(keys.len());
        let mut different = Vec::with_capacity(keys.len());
        let numbers = keys.into_iter().map(|key| {
            let key = key?;
            let (number, is_new) = distinct.add(key.clone());
            if is_new {
                different.push(key);
            }
            Ok(number)
        });
        let numbers: Vec<Result<usize, LookupError>> = numbers.collect();
        let mut stored = distinct.share(self.stored(&different).await);
        let answer = |(ask, number): (&BatchedAsk<'_, Get>, Result<usize, LookupError>)| {
            let stored = stored.take(number?).unwrap_or_else(|| Err(unasked()));
            ask.lookup.value(stored?).map(Answer::new)
        };
        asked.iter().zip(numbers).map(answer).collect()
    }
}

impl Memcached {
    /// What the servers have for each of some different keys.
    async fn stored(&self, keys: &[Bytes]) -> Vec<Result<Option<Bytes>, LookupError>> {
        let mut of_server = vec![Vec::new(); self.servers.len()];
        for (at, key) in keys.iter().enumerate() {
            of_server[self.ring.server(key)].push(at);
        }
        let mut questions = Vec::new();
        for (server, places) in self.servers.iter().zip(&of_server) {
            for places in places.chunks(server.sizes.keys_max()) {
                let keys = places.iter().map(|at| keys[*at].clone()).collect();
                questions.push(async move { (places, self.ask(server, keys).await) });
            }
        }
        let mut stored: Vec<_> = keys.iter().map(|_| Err(unasked())).collect();
        for (places, found) in join_all(questions).await {
            match found {
                Ok(found) => {
                    for (at, found) in places.iter().zip(found) {
                        stored[*at] = Ok(found);
                    }
                }
                Err(err) => {
                    for at in places {
                        stored[*at] = Err(err.clone());
                    }
                }
            }
        }
        stored
    }

    /// Asks one server, for at most the time that it may take.
    async fn ask(&self, server: &Server, keys: Rc<[Bytes]>) -> Result<Values, LookupError> {
        let asked = server.pool.queue.ask(keys);
        timeout(self.answer_timeout, asked)
            .await
            .unwrap_or_else(|_elapsed| {
                let why = "no answer within `answer_timeout`";
                Err(LookupError::new(Code::LookupUnavailable, why))
            })
    }
}

fn unasked() -> LookupError {
    LookupError::new(Code::ServerInternal, "a key was not asked for")
}

impl Server {
    /// Starts to connect in the background, on this loop.
    fn start(address: &Address, config: &Config, random: &mut Random) -> Self {
        let sizes = Rc::new(ValueSizes::default());
        let pool = Pool::start((config.connections, LIMIT), random, |_, queue| Dialer {
            address: address.clone(),
            account: config.account.clone(),
            connect_timeout: config.connect_timeout,
            age_max: config.age_max,
            queue,
            sizes: Rc::clone(&sizes),
            again: None,
        });
        Server { pool, sizes }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
