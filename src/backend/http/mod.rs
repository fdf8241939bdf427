//! `kind = "http"`: a lookup is one GET, or one POST with a JSON body, over HTTP/1.1 or HTTP/2, with or without TLS.
//!
//! `get = "/airports/{code}?units={units}"` becomes a GET below the backend's `url`, whose scheme, host, port and
//! base path no parameter can change. Each request has `traceparent`, `tracestate`, `request-id`, and `deadline-budget`,
//! the milliseconds that are left. Redirects are not followed and proxies in the environment are ignored. If a lookup
//! is dropped before its answer was read to the end, its connection is closed, or over HTTP/2 its stream is reset: no
//! answer is ever left for another lookup.

mod answer;
mod pieces; // of a body
mod body; // of a POST
mod charset; // of bodies
mod compression; // of bodies
mod clients; // the connections that are kept
mod config;
mod connect; // resolve, TCP, TLS
mod failure;
mod server;
mod examine;
mod lookup;
mod target;

use std::time::Duration;

use tokio::time::Instant;

use self::config::Config;
pub(crate) use self::config::{has_valid_port, read_headers};
use self::lookup::Lookup;
use self::server::Server;
use super::endpoints::{self, Endpoints, Target};
use super::{
    Answer, Ask, Backend, Board, Compiled, Examination, Hedge, LookupError, OnLoop, Planned,
    StoreMemory,
};
use crate::config::Section;

/// One loop's connections to an HTTP server.
pub struct Http {
    servers: Servers,
    body_bytes_max: usize,
    memory: StoreMemory,
}

/// Who is asked.
enum Servers {
    /// The server of the URL.
    One(Server),
    /// One of its endpoints.
    Endpoints(Endpoints<Server>),
}

impl Backend for Http {
    type Config = Config;
    type Lookup = Lookup;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn address(config: &Config) -> Option<(String, u16)> {
        config.endpoints.is_none().then(|| config.base.address())
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Lookup>], on: &OnLoop) -> Self {
        let servers = match &config.endpoints {
            None => Servers::One(Server::new(config, None, on.seed)),
            Some(endpoints) => {
                let config = config.clone();
                let make =
                    move |target: &Target, on: &OnLoop| Server::new(&config, Some(target), on.seed);
                Servers::Endpoints(Endpoints::start(endpoints, on, make).await)
            }
        };
        Http {
            servers,
            body_bytes_max: config.body_bytes_max,
            memory: on.memory.clone(),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned.len()).await
    }

    fn is_repeatable(lookup: &Lookup) -> bool {
        lookup.is_idempotent
    }

    fn hedge(lookup: &Lookup) -> Option<&Hedge> {
        lookup.hedge.as_ref()
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        match &self.servers {
            Servers::One(server) => self.ask(server, lookup, &ask).await,
            Servers::Endpoints(endpoints) => {
                let hash = endpoints.hash(ask.params, lookup.hash_on);
                let attempt = async |server: &Server| self.ask(server, lookup, &ask).await;
                // Boxed to keep the future of the others small.
                match &lookup.hedge {
                    None => Box::pin(endpoints.ask(hash, &ask, attempt)).await,
                    Some(hedge) => {
                        let asking = endpoints.ask_hedged(hash, (&ask, hedge), attempt);
                        Box::pin(asking).await.map(Answer::hedged)
                    }
                }
            }
        }
    }

    fn board(&self) -> Option<&Board> {
        match &self.servers {
            Servers::One(_) => None,
            Servers::Endpoints(endpoints) => Some(endpoints.board()),
        }
    }

    fn retries_after(config: &Config) -> Option<Duration> {
        let retries = config
            .endpoints
            .as_ref()
            .is_some_and(|of| of.retry.is_some());
        retries.then_some(config.connect_timeout)
    }

    fn balancing(config: &Config) -> Option<String> {
        config.endpoints.as_ref().map(endpoints::Config::describe)
    }
}

impl Http {
    /// Asks one server, and reads its answer.
    async fn ask(
        &self,
        server: &Server,
        lookup: &Lookup,
        ask: &Ask<'_>,
    ) -> Result<Answer, LookupError> {
        let response = server.response(lookup, ask).await?;
        let first_answer = Instant::now();
        let body = answer::Room {
            bytes_max: self.body_bytes_max,
            memory: self.memory.read_for(ask.context),
            deadline: ask.deadline,
        };
        let read = answer::read(lookup, response, body).await;
        if let Err(why) = &read
            && why.is_broken_off()
        {
            server.broke(why);
        }
        Ok(Answer {
            first_answer: Some(first_answer),
            ..read?
        })
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
