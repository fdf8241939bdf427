//! A cluster: each command goes to the node that serves its key, and all commands of a batch for one node go as one pipeline.
//!
//! A command that is redirected is sent once more, to where the redirection points; a second redirection is
//! `lookup.unavailable`. So is a slot whose node can't be reached or that no node serves; other slots are not affected.
//! An `mget` with keys of several slots is split, and its answers are joined. While a slot moves to another node, an
//! `mget` that no node can answer completely is asked key by key. If replicas are read, the master is asked for what they
//! do not answer.

mod config; // the keys of a cluster
pub(super) mod slot; // from a key to its slot
mod routing; // from lookups to commands of one slot, and from replies to answers
pub(super) mod slots_reply; // the reply to `CLUSTER SLOTS`
mod slot_map; // from slots to nodes
mod node; // one node and its connection
mod tracking; // which keys have changed
mod nodes; // all nodes, and the map as it changes

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::config::Seeds;
use self::node::{Node, NodeReply};
use self::nodes::Nodes;
use self::routing::{Delivery, PerKey, SlotCommand, SlotCommands, is_split};
use self::tracking::Tracking;
use super::command::Command;
use super::resp::{Reply, refused};
use crate::backend::{Answers, BatchedAsk, Changes, LookupError, OnLoop};
use crate::backoff::Backoff;
use crate::error::Code;
use crate::random::Random;
use crate::supervise::supervise;

/// One loop's view of a cluster.
pub(super) struct Cluster {
    nodes: Rc<Nodes>,
    /// The number of batches sent. It decides which of several replicas is asked.
    batches: Cell<usize>,
    _watcher: AbortOnDropHandle<()>,
}

/// Commands for one node.
struct NodeRequest {
    node: Rc<Node>,
    route: Route,
    /// Another node has redirected them: they are not redirected again.
    is_redirected: bool,
    /// Their positions among all commands of the batch.
    at: Vec<usize>,
}

/// How commands go to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Plain,
    /// To the node that the slot is being moved to.
    Asking,
    /// To a replica; if it fails, to its master.
    Replica,
}

impl Cluster {
    /// Starts to discover the nodes, on this loop.
    /// Changes of keys with `prefixes` are heard of, if there are some.
    pub(super) fn start(
        seeds: Seeds,
        prefixes: Vec<&str>,
        (on, mut random): (&OnLoop, Random),
    ) -> Self {
        let seed = random.draw();
        let tracking = (!prefixes.is_empty())
            .then(|| Tracking::new(&seeds.common, prefixes, (on, &mut random)));
        let nodes = Rc::new(Nodes::new((seeds, tracking), random, &on.memory));
        let watched = Rc::clone(&nodes);
        Cluster {
            nodes,
            batches: Cell::new(0),
            _watcher: supervise("redis cluster", move || {
                nodes::watch(Rc::clone(&watched), Backoff::seeded(seed))
            }),
        }
    }

    /// Which keys have changed, if somebody wants to know.
    pub(super) fn changes(&self) -> Option<&Rc<Changes>> {
        Some(self.nodes.tracking()?.changes())
    }

    /// One pipeline per node, of the different commands that are for it. The answers of a node are given as it replies.
    pub(super) async fn lookup_many(
        &self,
        asked: &[BatchedAsk<'_, Command>],
        answers: Answers<'_>,
    ) {
        let (commands, mut delivery) = Delivery::new(SlotCommands::of(asked), asked, answers);
        let mut split = Vec::new();
        let settle = |at, reply| match &reply {
            Ok(refused) if is_split(refused) => split.push(at),
            _ => delivery.settle(at, reply),
        };
        self.ask(&commands, settle).await;
        if split.is_empty() {
            return;
        }
        let per_key = PerKey::of(&commands, &split);
        let mut singles: Vec<_> = per_key.commands().iter().map(|_| Ok(Reply::Nil)).collect();
        self.ask(per_key.commands(), |at, reply| singles[at] = reply)
            .await;
        per_key.join(singles, |at, reply| delivery.settle(at, reply));
    }

    /// Sends every command to a node of its slot, and settles it with its reply or failure.
    async fn ask(
        &self,
        commands: &[SlotCommand],
        mut settle: impl FnMut(usize, Result<Reply, LookupError>),
    ) {
        if commands.is_empty() {
            return;
        }
        if let Err(err) = self.nodes.loaded().await {
            return (0..commands.len()).for_each(|at| settle(at, Err(err.clone())));
        }
        let requests = self.requests(commands, &mut settle);
        let settle = RefCell::new(settle);
        let send = |request: NodeRequest| self.send(commands, request, &settle);
        let mut under_way = FuturesUnordered::new();
        under_way.extend(requests.into_iter().map(send));
        while let Some(again) = under_way.next().await {
            under_way.extend(again.into_iter().map(send));
        }
    }

    /// Sends a request and settles its commands. Returns the requests to send next: commands that were redirected, and
    /// commands that a replica failed to answer.
    async fn send(
        &self,
        commands: &[SlotCommand],
        request: NodeRequest,
        settle: &RefCell<impl FnMut(usize, Result<Reply, LookupError>)>,
    ) -> Vec<NodeRequest> {
        let packed: Vec<&[u8]> = request.at.iter().map(|&at| &*commands[at].packed).collect();
        let asking = request.route == Route::Asking;
        let (mut again, mut waiting) = (Vec::new(), request.at.iter());
        let deal = |reply| {
            if let Some(&at) = waiting.next() {
                let settle = |reply| (settle.borrow_mut())(at, reply);
                self.replied(commands, (&request, at), reply, (&mut again, settle));
            }
        };
        if let Err(err) = request.node.send(&packed, asking, deal).await {
            self.nodes.look_again();
            for &at in waiting {
                if request.route != Route::Replica || !self.add_to_master(&mut again, commands, at)
                {
                    (settle.borrow_mut())(at, Err(err.clone()));
                }
            }
        }
        again
    }

    /// Settles a command of a request, or has it sent to another node.
    fn replied(
        &self,
        commands: &[SlotCommand],
        (request, at): (&NodeRequest, usize),
        reply: NodeReply,
        (again, settle): (
            &mut Vec<NodeRequest>,
            impl FnOnce(Result<Reply, LookupError>),
        ),
    ) {
        let slot = commands[at].slot;
        let (to, route) = match reply {
            NodeReply::Reply(reply) => {
                let reply = self.accept(reply);
                let asks_master = request.route == Route::Replica && is_unavailable(&reply);
                if !asks_master || !self.add_to_master(again, commands, at) {
                    settle(reply);
                }
                return;
            }
            NodeReply::Moved(to) => (self.nodes.moved(slot, to), Route::Plain),
            NodeReply::Ask(to) => (self.nodes.node(&to), Route::Asking),
        };
        match to {
            Some(_) if request.is_redirected => {
                let why = "redirected twice: the cluster is changing";
                settle(Err(LookupError::new(Code::LookupUnavailable, why)));
            }
            Some(node) => add(again, node, route, at, true),
            None => settle(Err(nodes::unserved(slot))),
        }
    }

    /// False if no node is known to be the master.
    fn add_to_master(
        &self,
        requests: &mut Vec<NodeRequest>,
        commands: &[SlotCommand],
        at: usize,
    ) -> bool {
        let owner = self.nodes.owner(commands[at].slot);
        let is_known = owner.is_some();
        if let Some(node) = owner {
            add(requests, node, Route::Plain, at, false);
        }
        is_known
    }

    /// A reply, unless it says that the cluster is changing or in trouble.
    fn accept(&self, reply: Reply) -> Result<Reply, LookupError> {
        match &reply {
            Reply::Error(words) if !is_split(&reply) => {
                let err = refused(words);
                if err.code == Code::LookupUnavailable {
                    self.nodes.look_again();
                }
                Err(err)
            }
            _ => Ok(reply),
        }
    }

    /// Which commands go to which node, by the map. Commands of a slot that no node serves are settled.
    fn requests(
        &self,
        commands: &[SlotCommand],
        settle: &mut impl FnMut(usize, Result<Reply, LookupError>),
    ) -> Vec<NodeRequest> {
        let mut requests = Vec::new();
        let batch = self.batches.get();
        self.batches.set(batch.wrapping_add(1));
        for (at, command) in commands.iter().enumerate() {
            if let Some(node) = self.nodes.replica(command.slot, batch) {
                add(&mut requests, node, Route::Replica, at, false);
                continue;
            }
            match self.nodes.owner(command.slot) {
                Some(node) => add(&mut requests, node, Route::Plain, at, false),
                None => {
                    self.nodes.look_again();
                    settle(at, Err(nodes::unserved(command.slot)));
                }
            }
        }
        requests
    }
}

fn is_unavailable(reply: &Result<Reply, LookupError>) -> bool {
    matches!(reply, Err(err) if err.code == Code::LookupUnavailable)
}

/// Adds a command to what goes to `node`.
fn add(
    requests: &mut Vec<NodeRequest>,
    node: Rc<Node>,
    route: Route,
    at: usize,
    is_redirected: bool,
) {
    let same = |request: &&mut NodeRequest| {
        let is_same = (request.route, request.is_redirected) == (route, is_redirected);
        is_same && Rc::ptr_eq(&request.node, &node)
    };
    match requests.iter_mut().find(same) {
        Some(request) => request.at.push(at),
        None => requests.push(NodeRequest {
            node,
            route,
            is_redirected,
            at: vec![at],
        }),
    }
}
