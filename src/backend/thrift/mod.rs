//! `kind = "thrift"`: a lookup is one call of another Thrift service.
//!
//! `call = "getUser"` becomes that call, with the method's own parameters, encoded and decoded by the service's
//! own IDL with the codec that also serves clients. Lookups put calls into a queue; the tasks that own the
//! connections make the calls (`exchange.rs`), one at a time per connection or, with `pipelined_max`, several.

mod answer;
mod call;
mod metadata;
mod config;
mod connection;
mod large; // replies that take long to decode
mod exchange;
mod hosts;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use self::call::RemoteMethod;
use self::config::Config;
use self::connection::{Dialer, dial, unreachable};
use self::exchange::Request;
use self::hosts::Host;
use self::metadata::CallMetadata;
use super::endpoints::{self, Client, Endpoints, Target};
use super::net::{Limit, Pool};
use super::{
    Answer, Ask, Backend, Board, Compiled, Examination, Hedge, LookupError, OnLoop, Planned,
    Unshared,
};
use crate::config::Section;
use crate::random::Random;

/// One loop's connections to a Thrift service.
pub struct Thrift {
    servers: Servers,
}

/// The connections to the hosts of a service.
enum Servers {
    /// Each to one of the hosts.
    Pool(Pool<Request, Answer>),
    /// Several to each endpoint.
    Endpoints(Endpoints<Pool<Request, Answer>>),
}

/// Calls that may wait for a connection.
const LIMIT: Limit = Limit {
    questions_max: 4096,
    shed: "too many calls wait for the service",
};

impl Backend for Thrift {
    type Config = Config;
    type Lookup = Arc<RemoteMethod>;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn address(config: &Config) -> Option<(String, u16)> {
        match &config.hosts.hosts[..] {
            [host] if config.endpoints.is_none() => Some((host.name.clone(), host.port)),
            _ => None,
        }
    }

    fn read_lookup(
        config: &Config,
        section: &mut Section<'_>,
    ) -> Option<Compiled<Arc<RemoteMethod>>> {
        RemoteMethod::read(config, section)
    }

    async fn connect(
        config: &Config,
        _planned: &[Planned<'_, Arc<RemoteMethod>>],
        on: &OnLoop,
    ) -> Self {
        let servers = match &config.endpoints {
            None => Servers::Pool(pool(config, on)),
            Some(endpoints) => {
                let config = config.clone();
                let make = move |target: &Target, on: &OnLoop| {
                    let hosts = config.hosts.only(target);
                    let config = Config {
                        hosts,
                        ..config.clone()
                    };
                    pool(&config, on)
                };
                Servers::Endpoints(Endpoints::start(endpoints, on, make).await)
            }
        };
        Thrift { servers }
    }

    /// Connects to each host. Without a call, a service shows only whether it accepts our certificate.
    async fn examine(config: &Config, planned: &[Planned<'_, Arc<RemoteMethod>>]) -> Examination {
        if let Some(endpoints) = &config.endpoints {
            let reach = async |target: &Target| match &*config.hosts.only(target).hosts {
                [host, ..] => reach(host, config).await,
                [] => Ok(()),
            };
            return endpoints
                .examine(planned.len(), "no call was made", reach)
                .await;
        }
        let mut examination = Examination::nothing("connected; no call was made", planned.len());
        for host in config.hosts.hosts.iter() {
            examination.failures.extend(reach(host, config).await.err());
        }
        examination
    }

    fn unshared(call: &Arc<RemoteMethod>) -> Option<Unshared> {
        call.reads_context().then_some(Unshared::ReadsContext)
    }

    fn hedge(call: &Arc<RemoteMethod>) -> Option<&Hedge> {
        call.hedge.as_ref()
    }

    async fn lookup(&self, call: &Arc<RemoteMethod>, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let request = async || {
            Ok::<_, LookupError>(Request {
                call: Arc::clone(call),
                params: call.params(&ask).await?,
                metadata: CallMetadata::new(&call.remote, &ask),
            })
        };
        match &self.servers {
            Servers::Pool(pool) => pool.queue.ask(request().await?).await,
            Servers::Endpoints(endpoints) => {
                let hash = endpoints.hash(ask.params, call.hash_on);
                let once = endpoints.has_retry_budget();
                let attempt = async |pool: &Pool<Request, Answer>| {
                    let request = request().await?;
                    if once {
                        // What the queue repeats by itself, no budget would bound.
                        pool.queue.ask_once(request).await
                    } else {
                        pool.queue.ask(request).await
                    }
                };
                // Boxed to keep the future of the others small.
                match &call.hedge {
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
            Servers::Pool(_) => None,
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

/// The connections to the hosts of `config`.
fn pool(config: &Config, on: &OnLoop) -> Pool<Request, Answer> {
    let mut random = Random::seeded(on.seed);
    let dial = |number, queue| Dialer::new(config, number, (queue, &on.memory));
    Pool::start((config.connections, LIMIT, &on.given_up), &mut random, dial)
}

/// Whether a host accepts connections, and our certificate.
async fn reach(host: &Host, config: &Config) -> Result<(), LookupError> {
    let mut wire = dial(host, config).await?;
    let taken = wire.is_taken(config.connect_timeout).await;
    taken.map_err(|err| unreachable(host, &err.to_string()))
}

impl Client for Pool<Request, Answer> {
    fn is_down(&self) -> bool {
        self.queue.is_down()
    }
}

#[cfg(test)]
mod tests;
