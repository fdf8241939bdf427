//! The master that sentinels name: found before every connection, and watched for as long as one is used.
//!
//! A server counts as the master when a sentinel names it *and* it says so itself (`ROLE`): a sentinel may be
//! behind, and a master that was demoted answers reads as before. While a connection is up both are asked
//! again every [`CHECK_EVERY`]; when either says no, the connection is given up and the way begins anew. As
//! long as no sentinel can be reached, the master stays.

mod config; // the keys of sentinels and their master

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{sleep, timeout};

pub(super) use self::config::Sentinels;
use super::connection::{Connection, one};
use super::door::Door;
use super::pipe::Pipe;
use super::resp::{Reply, put_command};
use super::server::{Address, Server};
use crate::backend::LookupError;
use crate::backend::format::bad_answer;
use crate::error::Code;

/// How often it is asked whether the master is still the master.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// Finds the master, on one loop.
pub(super) struct Finder {
    sentinels: Vec<Connection>,
    /// What a sentinel is asked.
    question: Vec<u8>,
    master: Box<str>,
    server: Server,
    /// What each question may take.
    step_timeout: Duration,
    /// The sentinel that answered last.
    turn: Cell<usize>,
}

impl Finder {
    /// Starts to connect to the sentinels, on this loop.
    pub(super) fn start(config: &Sentinels, step_timeout: Duration) -> Self {
        let start = |server: &Server| Connection::start(Door::Server(server.clone()), step_timeout);
        let mut question = Vec::new();
        let name = config.master.as_bytes();
        put_command(
            &mut question,
            &[b"SENTINEL", b"get-master-addr-by-name", name],
        );
        Finder {
            sentinels: config.servers.iter().map(start).collect(),
            question,
            master: config.master.clone(),
            server: config.master_server.clone(),
            step_timeout,
            turn: Cell::new(0),
        }
    }

    /// The master, as the first sentinel names it that knows.
    pub(super) async fn find(&self) -> Result<Server, LookupError> {
        let count = self.sentinels.len();
        let first = self.turn.get();
        let mut failure = None;
        for at in (first..first + count).map(|at| at % count) {
            match self.within(self.named_by(&self.sentinels[at])).await {
                Ok(address) => {
                    self.turn.set(at);
                    return Ok(self.server.at(address));
                }
                Err(err) => failure = Some(err),
            }
        }
        Err(failure.unwrap_or_else(|| bad_answer("there are no sentinels")))
    }

    /// Whether `server` itself says that it is the master.
    pub(super) async fn check(&self, server: &Server, pipe: &Pipe) -> Result<(), LookupError> {
        let role = self.within(role(pipe)).await?;
        if role == b"master" {
            return Ok(());
        }
        let role = String::from_utf8_lossy(&role);
        let why = format!(
            "{:?} is named as the master and says it is a {role}",
            server.address
        );
        Err(LookupError::new(Code::LookupUnavailable, why))
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
            let role = self.within(role(pipe)).await;
            if role.is_ok_and(|role| role != b"master") {
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

/// What the server at the other end says it is.
async fn role(pipe: &Pipe) -> Result<Vec<u8>, LookupError> {
    let mut packed = Vec::new();
    put_command(&mut packed, &[b"ROLE"]);
    let replies = pipe.ask(&packed, 1).await?.unwrap_or_default();
    match one(replies)? {
        Reply::Array(words) => match words.first() {
            Some(Reply::String(role)) => Ok(role.to_vec()),
            _ => Err(bad_answer("`ROLE` of no role")),
        },
        _ => Err(bad_answer("`ROLE` is answered with something else")),
    }
}
