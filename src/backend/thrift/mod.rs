//! `kind = "thrift"`: a lookup is one call of another Thrift service.
//!
//! `call = "getUser"` becomes that call, with the method's own parameters, encoded and decoded by the service's
//! own IDL through the same codec that serves clients. Lookups put calls into a queue; tasks that own the
//! connections make them (`exchange.rs`), one at a time on each or, with `pipelined_max`, several.

mod answer;
mod call;
mod carried;
mod config;
mod connection;
mod exchange;
mod hosts;
mod queue;
mod wire;

use std::rc::Rc;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use self::call::Call;
use self::carried::Carried;
use self::config::Config;
use self::connection::{Keeper, dial, unreachable};
use self::queue::Queue;
use super::{Answer, Ask, Backend, Compiled, Examination, LookupError, Planned};
use crate::config::Section;

/// One loop's connections to a Thrift service.
pub struct Thrift {
    queue: Rc<Queue>,
    _connections: Vec<AbortOnDropHandle<()>>,
}

impl Backend for Thrift {
    type Config = Config;
    type Lookup = Arc<Call>;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Arc<Call>>> {
        Call::read(&config.remote, section)
    }

    async fn connect(config: &Config, _planned: &[Planned<'_, Arc<Call>>]) -> Self {
        let queue = Rc::new(Queue::new(config.connections));
        let connection = |at| {
            let keeper = Keeper::new(config, at, &queue);
            AbortOnDropHandle::new(tokio::task::spawn_local(keeper.keep()))
        };
        Thrift {
            _connections: (0..config.connections).map(connection).collect(),
            queue,
        }
    }

    /// Connects to each host. A service says nothing of itself without being called, but for its word on our certificate.
    async fn examine(config: &Config, planned: &[Planned<'_, Arc<Call>>]) -> Examination {
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

    async fn lookup(&self, call: &Arc<Call>, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let params = call.params(&ask)?;
        let carried = Carried::new(&call.remote, &ask);
        self.queue.ask(Arc::clone(call), params, carried).await
    }
}

#[cfg(test)]
mod tests;
