//! The master that sentinels name: found before every connection, and watched for as long as one is used.
//!
//! A server counts as the master when a sentinel names it *and* it says so itself (`ROLE`): a sentinel may be
//! behind, and a master that was demoted answers reads as before. While a connection is up both are asked
//! again every [`CHECK_EVERY`]; when either says no, the connection is given up and the way begins anew. As
//! long as no sentinel can be reached, the master stays.

mod config; // the keys of sentinels and their master
mod replicas; // the master's replicas, to read from

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{sleep, timeout};

pub(super) use self::config::Sentinels;
pub(super) use self::replicas::Replicas;
use super::connection::{Connection, one};
use super::door::Door;
use super::pipe::Pipe;
use super::resp::{Reply, put_command};
use super::role::Role;
use super::server::{Address, Server};
use crate::backend::{LookupError, format::bad_answer};
use crate::error::Code;

/// How often it is asked whether a server still is what it was.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(250);

/// Finds the master, on one loop.
pub(super) struct Finder {
    sentinels: Vec<Connection>,
    /// What a sentinel is asked for the master, and for its replicas.
    question: Vec<u8>,
    replicas_question: Vec<u8>,
    master: Box<str>,
    server: Server,
    /// What each question may take.
    step_timeout: Duration,
    /// The sentinel that answered last.
    turn: Cell<usize>,
    /// The replica whose turn it is.
    replica_turn: Cell<usize>,
}

impl Finder {
    /// Starts to connect to the sentinels, on this loop.
    pub(super) fn start(config: &Sentinels, step_timeout: Duration) -> Self {
        let start = |server: &Server| Connection::start(Door::Server(server.clone()), step_timeout);
        let question = |what: &[u8]| {
            let mut packed = Vec::new();
            put_command(&mut packed, &[b"SENTINEL", what, config.master.as_bytes()]);
            packed
        };
        Finder {
            sentinels: config.servers.iter().map(start).collect(),
            question: question(b"get-master-addr-by-name"),
            replicas_question: question(b"replicas"),
            master: config.master.clone(),
            server: config.master_server.clone(),
            step_timeout,
            turn: Cell::new(0),
            replica_turn: Cell::new(0),
        }
    }

    /// The master, as the first sentinel names it that knows.
    pub(super) async fn find(&self) -> Result<Server, LookupError> {
        let named = self.first_to_say(async |sentinel| self.named_by(sentinel).await);
        Ok(self.server.at(named.await?))
    }

    /// What the first sentinel says that answers in time.
    async fn first_to_say<T>(
        &self,
        asking: impl AsyncFn(&Connection) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        let count = self.sentinels.len();
        let first = self.turn.get();
        let mut failure = None;
        for at in (first..first + count).map(|at| at % count) {
            match self.within(asking(&self.sentinels[at])).await {
                Ok(said) => {
                    self.turn.set(at);
                    return Ok(said);
                }
                Err(err) => failure = Some(err),
            }
        }
        Err(failure.unwrap_or_else(|| bad_answer("there are no sentinels")))
    }

    /// Whether the server itself says that it is the master.
    pub(super) async fn check(&self, pipe: &Pipe) -> Result<(), LookupError> {
        match self.within(Role::ask(pipe)).await? {
            Role::Master => Ok(()),
            role => Err(role.is_not("the master")),
        }
    }

    /// Waits until `server` is no longer the master.
    pub(super) async fn until_demoted(&self, server: &Server, pipe: &Pipe) {
        loop {
            sleep(CHECK_EVERY).await;
            let named = self.find().await;
            if named.is_ok_and(|named| named.address != server.address) {
                return;
            }
            // No answer is no word against it: a connection that breaks ends by itself.
            let role = self.within(Role::ask(pipe)).await;
            if role.is_ok_and(|role| role != Role::Master) {
                return;
            }
        }
    }

    /// What one sentinel says.
    async fn named_by(&self, sentinel: &Connection) -> Result<Address, LookupError> {
        let reply = one(sentinel.ask(&self.question, 1).await?)?;
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

    /// What `asking` says, if it does in time.
    async fn within<T>(
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
