//! Finds the master that sentinels name, before every connection, and watches it while the connection is used.
//!
//! A server counts as the master when a sentinel names it *and* it says so itself (`ROLE`): a sentinel may be
//! behind, and a demoted master still answers reads. While a connection is up, both are asked
//! again every [`CHECK_EVERY`]; if either says no, the connection is given up and the search starts again. While
//! no sentinel can be reached, the master stays in use.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::config::Sentinels;
use crate::backend::redis::connection::Connection;
use crate::backend::redis::endpoint::{Endpoint, WRONG_SERVER};
use crate::backend::redis::multiplexed::Multiplexed;
use crate::backend::redis::resp::{Reply, one, put_command};
use crate::backend::redis::role::{CHECK_EVERY, Role};
use crate::backend::redis::server::{Address, Server};
use crate::backend::{LookupError, OnLoop, format::bad_answer};
use crate::error::Code;
use crate::random::Random;

/// Finds the master, on one loop.
pub(in crate::backend::redis) struct Finder {
    sentinels: Vec<Connection>,
    /// The packed commands that ask a sentinel for the master, and for its replicas.
    ask_master: Vec<u8>,
    pub(super) ask_replicas: Vec<u8>,
    master: Box<str>,
    pub(super) server: Server,
    /// How long each question may take.
    step_timeout: Duration,
    /// The sentinel that answered last.
    turn: Cell<usize>,
    /// The replica to try next.
    pub(super) replica_turn: Cell<usize>,
}

impl Finder {
    /// Starts to connect to the sentinels, on this loop.
    pub(in crate::backend::redis) fn start(
        config: &Sentinels,
        step_timeout: Duration,
        (on, random): (&OnLoop, &mut Random),
    ) -> Self {
        let start = |server: &Server| {
            Connection::start(server.clone(), step_timeout, &on.seeded(random.draw()))
        };
        let question = |what: &[u8]| {
            let mut packed = Vec::new();
            put_command(&mut packed, &[b"SENTINEL", what, config.master.as_bytes()]);
            packed
        };
        Finder {
            sentinels: config.servers.iter().map(start).collect(),
            ask_master: question(b"get-master-addr-by-name"),
            ask_replicas: question(b"replicas"),
            master: config.master.clone(),
            server: config.master_server.clone(),
            step_timeout,
            turn: Cell::new(0),
            replica_turn: Cell::new(0),
        }
    }

    /// The master, as named by the first sentinel that knows one.
    async fn find(&self) -> Result<Server, LookupError> {
        let named = self.first_answer(async |sentinel| self.named_by(sentinel).await);
        Ok(self.server.at(named.await?))
    }

    /// The first answer that a sentinel gives in time.
    pub(super) async fn first_answer<T>(
        &self,
        asking: impl AsyncFn(&Connection) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        let count = self.sentinels.len();
        let first = self.turn.get();
        let mut failure = None;
        for at in (first..first + count).map(|at| at % count) {
            match self.within(asking(&self.sentinels[at])).await {
                Ok(answer) => {
                    self.turn.set(at);
                    return Ok(answer);
                }
                Err(err) => failure = Some(err),
            }
        }
        Err(failure.unwrap_or_else(|| bad_answer("there are no sentinels")))
    }

    /// The master that one sentinel names.
    async fn named_by(&self, sentinel: &Connection) -> Result<Address, LookupError> {
        let reply = one(sentinel.ask(&self.ask_master, 1).await?)?;
        let named = match reply {
            Reply::Nil => {
                let why = format!("the sentinels know no master `{}`", self.master);
                return Err(LookupError::new(Code::LookupUnavailable, why));
            }
            Reply::Array(named) => named,
            _ => Vec::new(),
        };
        let address = match &named[..] {
            [Reply::String(host), Reply::String(port)] => {
                let text = |bytes| std::str::from_utf8(bytes).ok();
                let port = text(port).and_then(|port| port.parse().ok());
                text(host).zip(port)
            }
            _ => None,
        };
        let (host, port) = address.ok_or_else(|| bad_answer("a sentinel names no address"))?;
        Ok(Address::Tcp(host.to_owned(), port))
    }

    /// The result of `asking`, if it arrives in time.
    pub(super) async fn within<T>(
        &self,
        asking: impl Future<Output = Result<T, LookupError>>,
    ) -> Result<T, LookupError> {
        let answered = timeout(self.step_timeout, asking).await;
        answered.unwrap_or_else(|_elapsed| {
            let why = "no answer while looking for the master";
            Err(LookupError::new(Code::LookupUnavailable, why))
        })
    }
}

/// The endpoint that is always the current master.
pub(in crate::backend::redis) struct Master(pub(in crate::backend::redis) Rc<Finder>);

impl Endpoint for Master {
    async fn server(&self) -> Result<Server, LookupError> {
        self.0.find().await
    }

    async fn check(&self, redis: &Multiplexed) -> Result<(), LookupError> {
        match self.0.within(Role::ask(redis)).await? {
            Role::Master => Ok(()),
            role => Err(role.is_not("the master")),
        }
    }

    /// Waits until `server` is no longer the master.
    async fn until_outdated(&self, server: &Server, redis: &Multiplexed) -> &'static str {
        loop {
            sleep(CHECK_EVERY).await;
            let named = self.0.find().await;
            if named.is_ok_and(|named| named.address != server.address) {
                return WRONG_SERVER;
            }
            // A missing answer does not count: a broken connection ends by itself.
            let role = self.0.within(Role::ask(redis)).await;
            if role.is_ok_and(|role| role != Role::Master) {
                return WRONG_SERVER;
            }
        }
    }
}
