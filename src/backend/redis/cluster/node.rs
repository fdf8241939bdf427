//! One node of a cluster: commands go to it as one pipeline, and each comes back with a reply or a redirection of
//! its own.
//!
//! Commands of one call of [`Node::send`] reach the server one after the other with nothing in between, which
//! `ASKING` relies on. A node that leaves commands without an answer for too long loses its connection, and
//! fails at once until it answers to a new one.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::topology::{Range, named, ranges};
use crate::backend::redis::connection::{Connection, one};
use crate::backend::redis::resp::{Reply, put_command};
use crate::backend::redis::server::{Address, Server};
use crate::backend::{LookupError, format::bad_answer, redis::door::Door};
use crate::error::Code;

/// A node and the connection to it.
pub(super) struct Node {
    address: Address,
    connection: Connection,
    give_up: Rc<Notify>,
    /// Since when nothing has come back, while something is asked.
    silent_since: Cell<Option<Instant>>,
    /// When its connection was given up the last time.
    given_up: Cell<Option<Instant>>,
    /// How long it may be silent.
    answer_timeout: Duration,
}

/// What a node said to one command.
#[derive(Debug)]
pub(super) enum Said {
    /// It may be an error that is not about where the slot is.
    Reply(Reply),
    /// The slot is served there now.
    Moved(Address),
    /// The slot is on the way there, and the key may be there already.
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
    pub(super) fn open(address: Address, common: &Common) -> Self {
        let give_up = Rc::new(Notify::new());
        let door = Door::Node(common.server.at(address.clone()), Rc::clone(&give_up));
        Node {
            address,
            connection: Connection::start(door, common.connect_timeout),
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

    /// Sends packed commands: what is said to each, in their order. `asking` makes a node take commands for a slot
    /// that is on its way to it.
    pub(super) async fn send(
        &self,
        commands: &[&[u8]],
        asking: bool,
    ) -> Result<Vec<Said>, LookupError> {
        let mut packed = Vec::with_capacity(commands.iter().map(|command| command.len()).sum());
        for command in commands {
            if asking {
                put_command(&mut packed, &[b"ASKING"]);
            }
            packed.extend_from_slice(command);
        }
        let each = if asking { 2 } else { 1 };
        let replies = self.replies(&packed, commands.len() * each).await?;
        // Of each pair, the reply to `ASKING` says nothing that the other doesn't.
        let replies = replies.into_iter().skip(each - 1).step_by(each);
        Ok(replies.map(|reply| self.said(reply)).collect())
    }

    /// The slots that it says are served, and by whom.
    pub(super) async fn ranges(&self) -> Result<Vec<Range>, LookupError> {
        let mut packed = Vec::new();
        put_command(&mut packed, &[b"CLUSTER", b"SLOTS"]);
        let reply = one(self.replies(&packed, 1).await?)?;
        ranges(&reply, &self.address)
            .ok_or_else(|| bad_answer("`CLUSTER SLOTS` is answered with something else"))
    }

    async fn replies(&self, packed: &[u8], count: usize) -> Result<Vec<Reply>, LookupError> {
        let now = Instant::now();
        match self.silent_since.get() {
            None => self.silent_since.set(Some(now)),
            // Whoever asked before has given up already, at a deadline of its own.
            Some(since) if now.duration_since(since) >= self.answer_timeout => self.give_up(since),
            Some(_) => {}
        }
        let answered = timeout(self.answer_timeout, self.connection.ask(packed, count)).await;
        if let Ok(replies) = answered {
            self.silent_since.set(None);
            return replies;
        }
        self.give_up(now);
        let why = format!("the node at {:?} does not answer", self.address);
        Err(LookupError::new(Code::LookupUnavailable, why))
    }

    /// Gives up the connection that was asked at `since`; one that was made later is none of its business.
    fn give_up(&self, since: Instant) {
        self.silent_since.set(None);
        if self.given_up.get().is_none_or(|last| last < since) {
            self.given_up.set(Some(Instant::now()));
            self.give_up.notify_waiters();
        }
    }

    fn said(&self, reply: Reply) -> Said {
        let Reply::Error(words) = &reply else {
            return Said::Reply(reply);
        };
        let mut words = words.split(' ');
        let (kind, to) = (words.next(), words.nth(1));
        match (kind, to.and_then(|to| named(to, &self.address))) {
            (Some("MOVED"), Some(to)) => Said::Moved(to),
            (Some("ASK"), Some(to)) => Said::Ask(to),
            _ => Said::Reply(reply),
        }
    }
}
