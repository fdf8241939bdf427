//! One node of a cluster: commands go to it as one pipeline, and each gets its own reply or redirection.
//!
//! Commands of one call of [`Node::send`] reach the server one after the other with nothing in between, which
//! `ASKING` relies on. If a node leaves commands unanswered for too long, its connection is closed, and lookups fail
//! immediately until it answers on a new one.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::slots_reply::{Range, named, ranges};
use crate::backend::format::bad_answer;
use crate::backend::redis::connection::Connection;
use crate::backend::redis::endpoint::{Endpoint, WRONG_SERVER};
use crate::backend::redis::multiplexed::Multiplexed;
use crate::backend::redis::resp::{Reply, one, put_command};
use crate::backend::redis::role::{CHECK_EVERY, Role};
use crate::backend::redis::server::{Address, Server};
use crate::backend::{LookupError, OnLoop};
use crate::error::Code;

/// A node and the connection to it.
pub(super) struct Node {
    address: Address,
    connection: Connection,
    give_up: Rc<Notify>,
    /// Since when the node has been silent, while a command waits for its reply.
    silent_since: Cell<Option<Instant>>,
    /// When its connection was last given up.
    given_up: Cell<Option<Instant>>,
    /// How long it may be silent.
    answer_timeout: Duration,
}

/// A node's reply to one command.
#[derive(Debug)]
pub(super) enum NodeReply {
    /// An answer, or an error that is not a redirection.
    Reply(Reply),
    /// The slot is served there now.
    Moved(Address),
    /// The slot is being moved there, and the key may have been moved already.
    Ask(Address),
}

/// What all nodes of a cluster have in common.
#[derive(Clone)]
pub(super) struct Common {
    /// Its own address is not used.
    pub(super) server: Server,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
}

impl Node {
    /// Starts to connect to `address`.
    pub(super) fn open(address: Address, common: &Common, on: &OnLoop) -> Self {
        let give_up = Rc::new(Notify::new());
        let endpoint = NodeEndpoint {
            server: common.server.at(address.clone()),
            give_up: Rc::clone(&give_up),
        };
        Node {
            address,
            connection: Connection::start(endpoint, common.connect_timeout, on),
            give_up,
            silent_since: Cell::new(None),
            given_up: Cell::new(None),
            answer_timeout: common.answer_timeout,
        }
    }

    /// Whether it is the node at `address`.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        self.address == *address
    }

    /// Whether commands could be sent now.
    pub(super) fn is_up(&self) -> bool {
        self.connection.is_up()
    }

    /// Sends packed commands, and hands one reply each to `deal`, in their order. With `asking`, the node accepts commands
    /// for a slot that is being moved to it.
    pub(super) async fn send(
        &self,
        commands: &[&[u8]],
        asking: bool,
        mut deal: impl FnMut(NodeReply),
    ) -> Result<(), LookupError> {
        let mut packed = Vec::with_capacity(commands.iter().map(|command| command.len()).sum());
        for command in commands {
            if asking {
                put_command(&mut packed, &[b"ASKING"]);
            }
            packed.extend_from_slice(command);
        }
        if !asking {
            let deal = |reply| deal(self.redirection(reply));
            return self.replies(&packed, commands.len(), deal).await;
        }
        // Of each pair, the reply to `ASKING` matters only if it is an error, which explains the other one.
        let mut first = None;
        let deal = |reply| match first.take() {
            None => first = Some(reply),
            Some(asking @ Reply::Error(_)) => deal(NodeReply::Reply(asking)),
            Some(_) => deal(self.redirection(reply)),
        };
        self.replies(&packed, commands.len() * 2, deal).await
    }

    /// The slots that are served, and the nodes that serve them, as this node knows them.
    pub(super) async fn ranges(&self) -> Result<Vec<Range>, LookupError> {
        let mut packed = Vec::new();
        put_command(&mut packed, &[b"CLUSTER", b"SLOTS"]);
        let mut replies = Vec::new();
        let all = self.replies(&packed, 1, |reply| replies.push(reply));
        all.await?;
        let reply = one(replies)?;
        ranges(&reply, &self.address)
            .ok_or_else(|| bad_answer("the reply to `CLUSTER SLOTS` is not a list of slots"))
    }

    async fn replies(
        &self,
        packed: &[u8],
        count: usize,
        deal: impl FnMut(Reply),
    ) -> Result<(), LookupError> {
        let now = Instant::now();
        match self.silent_since.get() {
            None => self.silent_since.set(Some(now)),
            // Earlier askers have already given up, at their own deadlines.
            Some(since) if now.duration_since(since) >= self.answer_timeout => self.give_up(since),
            Some(_) => {}
        }
        let asked = self.connection.ask_each(packed, count, deal);
        if let Ok(ended) = timeout(self.answer_timeout, asked).await {
            self.silent_since.set(None);
            return ended;
        }
        self.give_up(now);
        let why = format!("the node at {:?} does not answer", self.address);
        Err(LookupError::new(Code::LookupUnavailable, why))
    }

    /// Gives up the connection over which a question was asked at `since`. A connection that was made later stays.
    fn give_up(&self, since: Instant) {
        self.silent_since.set(None);
        if self.given_up.get().is_none_or(|last| last < since) {
            self.given_up.set(Some(Instant::now()));
            self.give_up.notify_waiters();
        }
    }

    /// The redirection in `reply`, if it is one.
    fn redirection(&self, reply: Reply) -> NodeReply {
        let Reply::Error(words) = &reply else {
            return NodeReply::Reply(reply);
        };
        let mut words = words.split(' ');
        let (kind, to) = (words.next(), words.nth(1));
        match (kind, to.and_then(|to| named(to, &self.address))) {
            (Some("MOVED"), Some(to)) => NodeReply::Moved(to),
            (Some("ASK"), Some(to)) => NodeReply::Ask(to),
            _ => NodeReply::Reply(reply),
        }
    }
}

/// A node whose connection can be given up. If replicas are read, this also happens to a node that is not in sync.
struct NodeEndpoint {
    server: Server,
    give_up: Rc<Notify>,
}

impl Endpoint for NodeEndpoint {
    async fn server(&self) -> Result<Server, LookupError> {
        Ok(self.server.clone())
    }

    async fn check(&self, redis: &Multiplexed) -> Result<(), LookupError> {
        if !self.server.reads_replica {
            return Ok(());
        }
        match Role::ask(redis).await? {
            Role::Master | Role::Replica => Ok(()),
            role => Err(role.is_not("a node of the cluster")),
        }
    }

    async fn until_outdated(&self, _server: &Server, redis: &Multiplexed) -> &'static str {
        tokio::select! {
            () = self.give_up.notified() => {}
            () = self.until_out_of_sync(redis) => {}
        }
        WRONG_SERVER
    }
}

impl NodeEndpoint {
    async fn until_out_of_sync(&self, redis: &Multiplexed) {
        if !self.server.reads_replica {
            return std::future::pending().await;
        }
        loop {
            sleep(CHECK_EVERY).await;
            // A missing answer does not count: a broken connection ends by itself.
            let role = Role::ask(redis).await;
            if role.is_ok_and(|role| !matches!(role, Role::Master | Role::Replica)) {
                return;
            }
        }
    }
}
