//! One pipelined connection to a Redis server, which reconnects by itself.
//!
//! While the server can't be reached, lookups end at once in `lookup.unavailable`. Only while an attempt that may well
//! succeed is under way do they wait for it, never longer than `connect_timeout`. A client library is not used: its parser, its command objects and its channels took a third
//! of the instructions of a whole call when several hundred lookups travelled as one pipeline.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::Endpoint;
use super::multiplexed::{Broken, Driving, Multiplexed};
use super::resp::{Reply, refused};
use super::server::{Address, Server};
use crate::backend::net::{self, Availability, Dial, Ended, Keeper, Pace, Stream, keep};
use crate::backend::{LookupError, OnLoop, StoreMemory};
use crate::error::Code;

/// The name of the other end in errors.
const STORE: &str = "Redis";
/// How long replies may still take on a connection that became too old.
const RETIRED_MAX: Duration = Duration::from_secs(5);

/// A connection and the task that keeps it.
pub(super) struct Connection {
    availability: Rc<Availability<Rc<Multiplexed>>>,
    connect_timeout: Duration,
    _keeper: Keeper,
}

impl Connection {
    /// Starts to connect in the background, on this loop. `on.seed` is for the delays between attempts.
    pub(super) fn start(
        endpoint: impl Endpoint + 'static,
        connect_timeout: Duration,
        on: &OnLoop,
    ) -> Self {
        Connection::start_paced(endpoint, connect_timeout, &Pace::new(1), on)
    }

    /// Starts to connect in the background, on this loop, at the pace of the connections to the same server.
    pub(super) fn start_paced(
        endpoint: impl Endpoint + 'static,
        connect_timeout: Duration,
        pace: &Rc<Pace>,
        on: &OnLoop,
    ) -> Self {
        let availability = Rc::new(Availability::paced(pace));
        let dialer = Dialer {
            endpoint,
            connect_timeout,
            age_max: net::AGE_MAX,
            retired: None,
            memory: on.memory.clone(),
        };
        Connection {
            _keeper: keep(dialer, Rc::clone(&availability), on.seed),
            availability,
            connect_timeout,
        }
    }

    /// Whether a lookup could be sent now.
    pub(super) fn is_up(&self) -> bool {
        self.availability.is_up()
    }

    /// As [`Connection::ask_each`], with all replies at the end.
    pub(super) async fn ask(&self, packed: &[u8], count: usize) -> Result<Vec<Reply>, LookupError> {
        let mut replies = Vec::with_capacity(count);
        let all = self.ask_each(packed, count, |reply| replies.push(reply));
        all.await?;
        Ok(replies)
    }

    /// Sends `count` commands, packed one after the other. Hands one reply each to `deal`, in their order. If the connection
    /// turns out to be lost, the commands are sent once more over the next one: all are reads, so asking twice does no harm.
    pub(super) async fn ask_each(
        &self,
        packed: &[u8],
        count: usize,
        mut deal: impl FnMut(Reply),
    ) -> Result<(), LookupError> {
        let (mut tried, mut dealt) = (false, 0);
        loop {
            let redis = self
                .availability
                .client(self.connect_timeout, STORE)
                .await?;
            // Those that came over the lost connection come again.
            let mut number = 0;
            let deal = |reply: Reply| {
                number += 1;
                if number > dealt {
                    dealt = number;
                    deal(reply);
                } else {
                    reply.discard();
                }
            };
            match redis.ask_each(packed, count, deal).await {
                Ok(Some(())) => return Ok(()),
                Ok(None) => {
                    let why = "Redis does not answer: too many replies are pending";
                    return Err(LookupError::new(Code::LookupUnavailable, why));
                }
                Err(Broken::Lost(_)) if !tried => {
                    tried = true;
                    self.availability
                        .lost(|current| Rc::ptr_eq(current, &redis));
                }
                Err(broken) => return Err(broken.into()),
            }
        }
    }

    /// Like [`Connection::ask_each`], without waiting for a connection: `None` if there is none, or it breaks.
    pub(super) async fn ask_each_if_up(
        &self,
        packed: &[u8],
        count: usize,
        deal: impl FnMut(Reply),
    ) -> Option<()> {
        let redis = self.availability.now()?.ok()?;
        redis.ask_each(packed, count, deal).await.ok()?
    }

    /// For tests to wait on.
    #[cfg(test)]
    pub(super) fn availability(&self) -> &Rc<Availability<Rc<Multiplexed>>> {
        &self.availability
    }
}

/// Makes the connections to an endpoint.
struct Dialer<E> {
    endpoint: E,
    connect_timeout: Duration,
    /// How old a connection to the server of the last attempt may become.
    age_max: Duration,
    /// The connection that became too old, while replies to it are pending.
    retired: Option<AbortOnDropHandle<()>>,
    memory: StoreMemory,
}

/// A connection whose server has accepted us.
struct Greeted {
    server: Server,
    redis: Rc<Multiplexed>,
    driving: Driving<Socket>,
}

type Socket = Either<Stream<TcpStream>, net::Local>;

impl<E: Endpoint> Dial for Dialer<E> {
    type Client = Rc<Multiplexed>;
    type Connection = Greeted;

    async fn connect(&mut self) -> Result<(Rc<Multiplexed>, Greeted), LookupError> {
        let connected = self.connect_to_endpoint().await;
        if let Err(why) = &connected {
            self.endpoint.is_lost(why);
        }
        connected
    }

    /// Ends when the connection breaks, when the endpoint says that it leads to the wrong server, or when it is too old.
    /// Commands that are still unanswered are sent again over the next connection, unless this one is merely old: then they
    /// are answered over this one, and only those that come later use the next one.
    async fn serve(&mut self, connection: Greeted, retire_at: Instant) -> Ended {
        let Greeted {
            server,
            redis,
            mut driving,
        } = connection;
        let why = tokio::select! {
            biased;
            broken = &mut driving => broken.into(),
            why = self.endpoint.until_outdated(&server, &redis) => {
                LookupError::new(Code::LookupUnavailable, why)
            }
            () = sleep_until(retire_at) => {
                driving.retire();
                let rest = async { drop(timeout(RETIRED_MAX, driving).await) };
                let task = tokio::task::spawn_local(rest);
                self.retired = Some(AbortOnDropHandle::new(task));
                return Ended::InOrder;
            }
        };
        self.endpoint.is_lost(&why);
        Ended::Broken(why)
    }

    fn age_max(&self) -> Duration {
        self.age_max
    }
}

impl<E: Endpoint> Dialer<E> {
    async fn connect_to_endpoint(&mut self) -> Result<(Rc<Multiplexed>, Greeted), LookupError> {
        let server = self.endpoint.server().await?;
        self.age_max = server.age_max;
        let address = server.address.clone();
        let connected = self.connect_to(server).await;
        connected.map_err(|err| err.at(address))
    }

    async fn connect_to(&self, server: Server) -> Result<(Rc<Multiplexed>, Greeted), LookupError> {
        let unavailable = |why: String| LookupError::new(Code::LookupUnavailable, why);
        let until = Instant::now() + self.connect_timeout;
        let socket = match timeout_at(until, server.open()).await {
            Ok(socket) => socket.map_err(|err| unavailable(err.to_string()))?,
            Err(_elapsed) => {
                let why = format!("no connection to Redis within {:?}", self.connect_timeout);
                return Err(unavailable(why));
            }
        };
        let redis = Rc::new(Multiplexed::new(&self.memory, self.endpoint.on_push()));
        let mut driving = Driving::new(socket, Rc::clone(&redis));
        tokio::select! {
            broken = &mut driving => return Err(broken.into()),
            greeted = timeout_at(until, self.greet(&server, &redis)) => {
                greeted.map_err(|_elapsed| unavailable("Redis does not answer".into()))??;
            }
        }
        let greeted = Greeted {
            server,
            redis: Rc::clone(&redis),
            driving,
        };
        Ok((redis, greeted))
    }

    /// Authenticates, and checks whether the server is ready.
    async fn greet(&self, server: &Server, redis: &Multiplexed) -> Result<(), LookupError> {
        let (greeting, count) = server.greeting();
        let replies = redis.ask(&greeting, count).await?.unwrap_or_default();
        for (at, reply) in replies.into_iter().enumerate() {
            // A user who may not even `PING`, which is last, may still be allowed to read. Without one of the other commands,
            // the session would be another one than was asked for: a read from the wrong database, say.
            let may_fail = |words: &str| at + 1 == count && words.starts_with("NOPERM");
            if let Reply::Error(words) = reply
                && !may_fail(&words)
            {
                return Err(refused(&words));
            }
        }
        self.endpoint.check(redis).await
    }
}

impl Server {
    /// A socket to the server, encrypted if the configuration says so.
    async fn open(&self) -> std::io::Result<Socket> {
        Ok(match (self.map.real(&self.address), &self.secure) {
            (Address::Unix(path), _) => Either::Right(net::connect_local(path).await?),
            (Address::Tcp(host, port), None) => {
                let stream = super::server::connect_tcp(host, *port).await?;
                Either::Left(Stream::Plain(stream))
            }
            (Address::Tcp(host, port), Some(secure)) => {
                let stream = super::server::connect_tcp(host, *port).await?;
                Either::Left(secure.over(host, stream).await?)
            }
        })
    }
}

impl From<Broken> for LookupError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Lost(why) => LookupError::new(Code::LookupUnavailable, &*why),
            Broken::BadBytes(why) => LookupError::new(Code::LookupBadAnswer, &*why).garbage(),
        }
    }
}
