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
use super::memory::NoRoom;
use super::net::{self, Distinct, Limit, Pool};
use super::{
    Answer, Answers, Ask, Backend, BatchedAsk, Compiled, Examination, Held, LookupError, OnLoop,
    Planned,
};
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

    fn is_divided(config: &Config) -> bool {
        config.servers.len() > 1
    }

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

    fn address(config: &Config) -> Option<(String, u16)> {
        match &config.servers[..] {
            [server] => server.tcp(),
            _ => None,
        }
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Get>> {
        Get::read(section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Get>], on: &OnLoop) -> Self {
        let mut random = Random::seeded(on.seed);
        let servers = config.servers.iter();
        Memcached {
            ring: Arc::clone(&config.ring),
            servers: servers
                .map(|server| Server::start(server, config, (&mut random, on)))
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
        Answers::one(async |answers| self.lookup_many(&asked, answers).await).await
    }

    fn batches(_get: &Get) -> bool {
        true
    }

    fn batching(_get: &Get) -> String {
        "one multi-get per server and iteration of the event loop, equal keys once".into()
    }

    /// Each server's answers are given when that server has answered.
    async fn lookup_many(&self, asked: &[BatchedAsk<'_, Get>], answers: Answers<'_>) {
        let mut scratch = self.scratch.take();
        let mut distinct = Distinct::of(asked.len());
        // Each different key is asked for once.
        for (at, ask) in asked.iter().enumerate() {
            match ask.lookup.key(ask.params, &mut scratch) {
                Ok(key) => {
                    let _is_new = distinct.add(key, at);
                }
                Err(err) => answers.give(at, Err(err)),
            }
        }
        self.scratch.set(scratch);
        let give = |number, stored: Result<(Option<Bytes>, Held), LookupError>| {
            distinct.hand_out(number, stored, |at, stored| {
                let answer = stored.and_then(|(stored, held)| {
                    let answer = asked[at].lookup.answer(stored)?;
                    Ok(answer.holding(held))
                });
                answers.give(at, answer);
            });
        };
        self.stored(distinct.keys(), give).await;
    }
}

impl Memcached {
    /// Gives what the servers have for each of some different keys, with the position of the key.
    async fn stored(
        &self,
        keys: &[Bytes],
        give: impl Fn(usize, Result<(Option<Bytes>, Held), LookupError>),
    ) {
        let mut of_server = vec![Vec::new(); self.servers.len()];
        for (at, key) in keys.iter().enumerate() {
            of_server[self.ring.server(key)].push(at);
        }
        let give = &give;
        let mut questions = Vec::new();
        for (server, places) in self.servers.iter().zip(&of_server) {
            for places in places.chunks(server.sizes.keys_max()) {
                let keys = places.iter().map(|at| keys[*at].clone()).collect();
                questions.push(async move {
                    match self.ask(server, keys).await {
                        Ok(values) => {
                            let is_refused = |at| values.refused.contains(&at);
                            for (at, found) in values.found.into_iter().enumerate() {
                                let refused = is_refused(at).then(|| NoRoom.into());
                                let found = (found, values.held.clone());
                                give(places[at], refused.map_or(Ok(found), Err));
                            }
                        }
                        Err(err) => places.iter().for_each(|at| give(*at, Err(err.clone()))),
                    }
                });
            }
        }
        join_all(questions).await;
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

impl Server {
    /// Starts to connect in the background, on this loop.
    fn start(address: &Address, config: &Config, (random, on): (&mut Random, &OnLoop)) -> Self {
        let sizes = Rc::new(ValueSizes::default());
        let pool = Pool::start(
            (config.connections, LIMIT, &on.given_up),
            random,
            |_, queue| Dialer {
                address: address.clone(),
                account: config.account.clone(),
                connect_timeout: config.connect_timeout,
                age_max: config.age_max,
                queue,
                sizes: Rc::clone(&sizes),
                memory: on.memory.clone(),
                again: None,
            },
        );
        Server { pool, sizes }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
