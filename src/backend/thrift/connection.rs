//! One connection's life: made, used until it breaks, and made again, by a task of its own.
//!
//! With several hosts each connection begins at another one, and goes on to the next when one can't be reached or
//! is no good. When all have been tried it pauses, longer each time. While no host can be reached lookups end at once in
//! `lookup.unavailable`.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::config::Config;
use super::exchange::Exchange;
use super::hosts::Host;
use super::queue::Queue;
use super::wire::Wire;
use crate::backend::{LookupError, links::Link};
use crate::error::Code;

/// The pause after the first failed round of attempts; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// What a connection's task needs.
pub(super) struct Keeper {
    config: Config,
    /// The host to try next.
    next: usize,
    queue: Rc<Queue>,
}

impl Keeper {
    /// For the `at`th connection.
    pub(super) fn new(config: &Config, at: usize, queue: &Rc<Queue>) -> Self {
        Keeper {
            config: config.clone(),
            next: at % config.hosts.hosts.len(),
            queue: Rc::clone(queue),
        }
    }

    /// Connects for as long as the backend lives, and makes calls while connected.
    pub(super) async fn keep(mut self) {
        let mut link = Link::Hopeful;
        let mut delay = RETRY_DELAY_MIN;
        // Hosts in a row that were no good.
        let mut failed = 0;
        loop {
            let host = &self.config.hosts.hosts[self.next];
            let why = match dial(host, &self.config).await {
                Ok(wire) => {
                    self.queue.links.moved(&mut link, Link::Up);
                    match self.make_calls(wire, &mut link).await {
                        Ok(()) => {
                            (delay, failed) = (RETRY_DELAY_MIN, 0);
                            continue;
                        }
                        Err(why) => why.map(|why| unreachable(host, &why.detail)),
                    }
                }
                Err(why) => Some(why),
            };
            self.next = (self.next + 1) % self.config.hosts.hosts.len();
            failed += 1;
            if failed < self.config.hosts.hosts.len() {
                continue;
            }
            failed = 0;
            if let Some(why) = why {
                self.queue.failed(&mut link, &why);
            }
            sleep(delay).await;
            delay = (delay * 2).min(RETRY_DELAY_MAX);
        }
    }

    /// Uses a connection until it breaks. An error if it never was of use, with the reason if the service turned us
    /// down: one that was accepted and dropped soon after is not to be made again without a pause.
    async fn make_calls(&self, wire: Wire, link: &mut Link) -> Result<(), Option<LookupError>> {
        let since = Instant::now();
        let exchange = Exchange::new(wire, &self.config);
        let ended = exchange.run(&self.queue).await;
        self.queue.links.moved(link, Link::Hopeful);
        let good = ended.answered || since.elapsed() >= RETRY_DELAY_MAX;
        let why = ended.is_turned_down.then(|| ended.why.clone());
        ended.give_back(&self.queue);
        if good { Ok(()) } else { Err(why) }
    }
}

/// A new connection to `host`.
pub(super) async fn dial(host: &Host, config: &Config) -> Result<Wire, LookupError> {
    let connecting = Wire::connect(host, config.hosts.secure.as_ref());
    match timeout(config.connect_timeout, connecting).await {
        Ok(wire) => wire.map_err(|err| unreachable(host, &err.to_string())),
        Err(_) => Err(unreachable(
            host,
            "nothing answers within `connect_timeout`",
        )),
    }
}

/// Why `host` is of no use.
pub(super) fn unreachable(host: &Host, why: &str) -> LookupError {
    let detail = format!("can't connect to the Thrift service at {host}: {why}");
    LookupError::new(Code::LookupUnavailable, detail)
}
