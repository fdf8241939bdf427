//! One connection's life: made, used until it breaks, and made again, by a task of its own.
//!
//! With several hosts each connection begins at another one, and goes on to the next when one can't be reached or
//! is no good. When all have been tried it pauses, longer each time. While no host can be reached lookups end at once in
//! `lookup.unavailable`.

use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::config::{Config, Host};
use super::exchange::Exchange;
use super::queue::Queue;
use crate::backend::LookupError;
use crate::backend::links::Link;
use crate::error::Code;

/// The pause after the first failed round of attempts; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// How long sent bytes may stay unacknowledged before the kernel gives a connection up. Without it, lookups
/// would time out one by one for a quarter of an hour when the service's machine is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

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
            next: at % config.hosts.len(),
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
            let host = &self.config.hosts[self.next];
            let why = match dial(host, self.config.connect_timeout).await {
                Ok(stream) => {
                    self.queue.links.moved(&mut link, Link::Up);
                    let good = self.make_calls(stream, &mut link).await;
                    if good {
                        (delay, failed) = (RETRY_DELAY_MIN, 0);
                        continue;
                    }
                    None
                }
                Err(why) => Some(why),
            };
            self.next = (self.next + 1) % self.config.hosts.len();
            failed += 1;
            if failed < self.config.hosts.len() {
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

    /// Uses a connection until it breaks, and says whether it ever was of use: one that was accepted and dropped
    /// soon after is not to be made again without a pause.
    async fn make_calls(&self, stream: TcpStream, link: &mut Link) -> bool {
        let since = Instant::now();
        let exchange = Exchange::new(stream, &self.config);
        let ended = exchange.run(&self.queue).await;
        self.queue.links.moved(link, Link::Hopeful);
        let good = ended.answered || since.elapsed() >= RETRY_DELAY_MAX;
        ended.give_back(&self.queue);
        good
    }
}

/// A new connection to `host`.
pub(super) async fn dial(host: &Host, connect_timeout: Duration) -> Result<TcpStream, LookupError> {
    let failed = |why: &str| {
        let detail = format!("can't connect to the Thrift service at {host}: {why}");
        LookupError::new(Code::LookupUnavailable, detail)
    };
    let connecting = TcpStream::connect((&*host.name, host.port));
    let stream = match timeout(connect_timeout, connecting).await {
        Ok(stream) => stream.map_err(|err| failed(&err.to_string()))?,
        Err(_) => return Err(failed("nothing answers within `connect_timeout`")),
    };
    // What is to be gathered is gathered before it is written.
    let options = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX)));
    options.map_err(|err| failed(&err.to_string()))?;
    Ok(stream)
}
