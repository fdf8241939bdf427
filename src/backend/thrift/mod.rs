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

use self::call::RemoteMethod;
use self::config::Config;
use self::connection::{Dialer, dial, unreachable};
use self::exchange::Request;
use self::metadata::CallMetadata;
use super::net::{Limit, Pool};
use super::{Answer, Ask, Backend, Compiled, Examination, LookupError, OnLoop, Planned, Unshared};
use crate::config::Section;
use crate::random::Random;

/// One loop's connections to a Thrift service.
pub struct Thrift {
    pool: Pool<Request, Answer>,
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

    fn read_lookup(
        config: &Config,
        section: &mut Section<'_>,
    ) -> Option<Compiled<Arc<RemoteMethod>>> {
        RemoteMethod::read(&config.remote, section)
    }

    async fn connect(
        config: &Config,
        _planned: &[Planned<'_, Arc<RemoteMethod>>],
        on: &OnLoop,
    ) -> Self {
        let mut random = Random::seeded(on.seed);
        let dial = |number, queue| Dialer::new(config, number, (queue, &on.memory));
        Thrift {
            pool: Pool::start((config.connections, LIMIT), &mut random, dial),
        }
    }

    /// Connects to each host. Without a call, a service shows only whether it accepts our certificate.
    async fn examine(config: &Config, planned: &[Planned<'_, Arc<RemoteMethod>>]) -> Examination {
        let mut examination = Examination::nothing("connected; no call was made", planned.len());
        for host in config.hosts.hosts.iter() {
            let reached = match dial(host, config).await {
                Ok(mut wire) => {
                    let taken = wire.is_taken(config.connect_timeout).await;
                    taken.map_err(|err| unreachable(host, &err.to_string()))
                }
                Err(why) => Err(why),
            };
            examination.failures.extend(reached.err());
        }
        examination
    }

    fn unshared(call: &Arc<RemoteMethod>) -> Option<Unshared> {
        call.reads_context().then_some(Unshared::ReadsContext)
    }

    async fn lookup(&self, call: &Arc<RemoteMethod>, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let request = Request {
            call: Arc::clone(call),
            params: call.params(&ask)?,
            metadata: CallMetadata::new(&call.remote, &ask),
        };
        self.pool.queue.ask(request).await
    }
}

#[cfg(test)]
mod tests;
