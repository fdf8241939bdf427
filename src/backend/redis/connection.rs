//! One pipelined connection to a Redis server that comes back by itself.
//!
//! A task of its own connects, and connects again with growing pauses for as long as the server is away.
//! Meanwhile lookups end at once in `lookup.unavailable`; only while an attempt that may well succeed is under
//! way (the first, and the one after a connection broke) do they wait for it, never longer than
//! `connect_timeout`. redis-rs's `ConnectionManager` is not used: it keeps an error that is not of the network
//! (a server still loading its data, a refused password) for good, and makes every lookup wait for each retry.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::backend::LookupError;
use crate::error::Code;

/// The pause after the first failed attempt; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// Lookups handed to a connection and not written yet; more of them wait their turn.
const QUEUE_MAX: usize = 4096;
/// How long sent bytes may stay unacknowledged before the kernel gives a connection up. Without it, lookups
/// would time out one by one for a quarter of an hour when the server's machine is gone.
pub(super) const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// A connection and the task that keeps it.
pub(super) struct Connection {
    link: Rc<watch::Sender<Link>>,
    connect_timeout: Duration,
    _keeper: AbortOnDropHandle<()>,
}

/// How the connection is at the moment.
#[derive(Clone)]
pub(super) enum Link {
    /// An attempt is under way and worth waiting for.
    Connecting,
    /// Connected. The number tells connections apart, so that a late error of an old one ends no new one.
    Up(u64, MultiplexedConnection),
    /// The server can't be reached or refuses the connection: the code and what it said.
    Down(Code, Arc<str>),
}

impl Connection {
    /// Starts to connect in the background, on this loop.
    pub(super) fn start(client: Client, connect_timeout: Duration) -> Self {
        let link = Rc::new(watch::Sender::new(Link::Connecting));
        let keeper = tokio::task::spawn_local(keep(client, connect_timeout, Rc::clone(&link)));
        Connection {
            link,
            connect_timeout,
            _keeper: AbortOnDropHandle::new(keeper),
        }
    }

    /// Whether a lookup could be sent now.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.link.borrow(), Link::Up(..))
    }

    /// Sends one command. A connection that turns out broken is tried once more after it came back: all
    /// commands are reads, so asking twice does no harm.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<redis::Value, LookupError> {
        let send = async |mut connection: MultiplexedConnection| {
            let reply = connection.send_packed_command(command).await;
            reply.and_then(redis::Value::extract_error)
        };
        self.twice(send).await
    }

    /// Sends several commands at once: one reply or error each, in their order.
    pub(super) async fn ask_many(
        &self,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<redis::Value, LookupError>>, LookupError> {
        let count = pipeline.len();
        let send = async |mut connection: MultiplexedConnection| {
            connection.send_packed_commands(pipeline, 0, count).await
        };
        let replies = self.twice(send).await?;
        if replies.len() != count {
            return Err(LookupError::new(
                Code::LookupBadAnswer,
                "as many replies as commands were due",
            ));
        }
        let reply = |reply: redis::Value| reply.extract_error().map_err(|err| lookup_error(&err));
        Ok(replies.into_iter().map(reply).collect())
    }

    async fn twice<T>(
        &self,
        send: impl AsyncFn(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, LookupError> {
        let mut tried = false;
        loop {
            let now = self.now();
            let (number, connection) = match now {
                Some(up) => up?,
                // Rare, and boxed to keep every lookup's future small.
                None => Box::pin(self.up()).await?,
            };
            match send(connection).await {
                Ok(value) => return Ok(value),
                Err(err) => {
                    let broken = err.is_io_error();
                    if broken || err.is_unrecoverable_error() {
                        self.lost(number);
                    }
                    if !broken || tried {
                        return Err(lookup_error(&err));
                    }
                    tried = true;
                }
            }
        }
    }

    /// The connection, or that there is none; `None` while that is not known.
    fn now(&self) -> Option<Result<Up, LookupError>> {
        known(&self.link.borrow())
    }

    /// The connection, once it is known whether there is one.
    async fn up(&self) -> Result<Up, LookupError> {
        let mut changes = self.link.subscribe();
        let settled = changes.wait_for(|link| known(link).is_some());
        match timeout(self.connect_timeout, settled).await {
            Ok(Ok(link)) => known(&link).unwrap_or_else(|| Err(not_connected())),
            _ => Err(not_connected()),
        }
    }

    /// Has the keeper connect again, unless it did so already.
    fn lost(&self, broken: u64) {
        self.link.send_if_modified(|link| {
            let current = matches!(link, Link::Up(number, _) if *number == broken);
            if current {
                *link = Link::Connecting;
            }
            current
        });
    }

    /// The state and its changes, for tests to wait on.
    #[cfg(test)]
    pub(super) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }
}

fn lookup_error(err: &RedisError) -> LookupError {
    LookupError::new(code(err), err.to_string())
}

/// A connection and its number.
type Up = (u64, MultiplexedConnection);

fn known(link: &Link) -> Option<Result<Up, LookupError>> {
    match link {
        Link::Connecting => None,
        Link::Up(number, connection) => Some(Ok((*number, connection.clone()))),
        Link::Down(code, why) => Some(Err(LookupError::new(*code, &**why))),
    }
}

/// Connects for as long as the backend lives. The sender is held by both sides, so no send can fail.
async fn keep(client: Client, connect_timeout: Duration, link: Rc<watch::Sender<Link>>) {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_timeout))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE_MAX);
    let mut changes = link.subscribe();
    let mut delay = RETRY_DELAY_MIN;
    let mut number = 0;
    loop {
        match client
            .get_multiplexed_async_connection_with_config(&config)
            .await
        {
            Ok(connection) => {
                number += 1;
                let since = Instant::now();
                link.send_replace(Link::Up(number, connection));
                if changes
                    .wait_for(|link| !matches!(link, Link::Up(..)))
                    .await
                    .is_err()
                {
                    return;
                }
                if since.elapsed() >= RETRY_DELAY_MAX {
                    delay = RETRY_DELAY_MIN;
                    continue;
                }
                // Accepted and dropped soon after: not to be asked again without a pause.
            }
            Err(err) => {
                link.send_replace(Link::Down(connect_code(&err), err.to_string().into()));
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

fn not_connected() -> LookupError {
    LookupError::new(Code::LookupUnavailable, "not connected to Redis yet")
}

/// What failing to connect means: a server that is not ready or not there, or one that refuses us.
fn connect_code(err: &RedisError) -> Code {
    match err.kind() {
        ErrorKind::AuthenticationFailed => Code::LookupRefused,
        ErrorKind::Parse => Code::LookupUnavailable,
        _ => code(err),
    }
}

/// What an error means to a lookup.
fn code(err: &RedisError) -> Code {
    match err.kind() {
        ErrorKind::Io
        | ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => Code::LookupUnavailable,
        ErrorKind::Extension if err.code() == Some("BUSY") => Code::LookupUnavailable,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Code::LookupBadAnswer,
        ErrorKind::Client | ErrorKind::InvalidClientConfig => Code::LookupFailed,
        _ => Code::LookupRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_server_have_their_codes() {
        let of = |line: &str| {
            let reply =
                redis::parse_redis_value(line.as_bytes()).and_then(redis::Value::extract_error);
            code(&reply.expect_err("an error reply"))
        };
        for refused in [
            "-WRONGTYPE x\r\n",
            "-NOAUTH x\r\n",
            "-NOPERM x\r\n",
            "-ERR unknown command\r\n",
        ] {
            assert_eq!(of(refused), Code::LookupRefused, "{refused}");
        }
        for away in [
            "-LOADING x\r\n",
            "-BUSY x\r\n",
            "-READONLY x\r\n",
            "-TRYAGAIN x\r\n",
            "-MASTERDOWN x\r\n",
            "-CLUSTERDOWN x\r\n",
        ] {
            assert_eq!(of(away), Code::LookupUnavailable, "{away}");
        }
        assert_eq!(of("?what\r\n"), Code::LookupBadAnswer);
    }
}
