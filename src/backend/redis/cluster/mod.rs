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
mod nodes; // all nodes, and the map as it changes

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::config::Seeds;
use self::node::{Node, NodeReply};
use self::nodes::Nodes;
use self::routing::{PerKey, SlotCommand, SlotCommands, is_split};
use super::command::Command;
use super::resp::{Reply, refused};
use crate::backend::{Answer, BatchedAsk, LookupError};
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
    pub(super) fn start(seeds: Seeds, mut random: Random) -> Self {
        let seed = random.draw();
        let nodes = Rc::new(Nodes::new(seeds, random));
        let watched = Rc::clone(&nodes);
        Cluster {
            nodes,
            batches: Cell::new(0),
            _watcher: supervise("redis cluster", move || {
                nodes::watch(Rc::clone(&watched), Backoff::seeded(seed))
            }),
        }
    }

    /// One pipeline per node, of the different commands that are for it.
    pub(super) async fn lookup_many(
        &self,
        asked: &[BatchedAsk<'_, Command>],
    ) -> Vec<Result<Answer, LookupError>> {
        let commands = SlotCommands::of(asked);
        let mut replies = self.ask(commands.commands()).await;
        if let Some(per_key) = PerKey::of(commands.commands(), &replies) {
            let singles = self.ask(per_key.commands()).await;
            per_key.join(singles, &mut replies);
        }
        commands.answers(asked, replies)
    }

    /// Sends every command to a node of its slot: one reply or failure each, in their order.
    async fn ask(&self, commands: &[SlotCommand]) -> Vec<Result<Reply, LookupError>> {
        if commands.is_empty() {
            return Vec::new();
        }
        if let Err(err) = self.nodes.loaded().await {
            return commands.iter().map(|_| Err(err.clone())).collect();
        }
        let mut replies: Vec<_> = commands
            .iter()
            .map(|command| Err(nodes::unserved(command.slot)))
            .collect();
        let mut requests = self.requests(commands);
        // To a node, and once to where it redirects; before that, possibly to a replica that fails.
        let rounds = 2 + usize::from(
            requests
                .iter()
                .any(|request| request.route == Route::Replica),
        );
        for _ in 0..rounds {
            if requests.is_empty() {
                break;
            }
            requests = self.round(commands, requests, &mut replies).await;
        }
        for at in requests.into_iter().flat_map(|request| request.at) {
            let why = "redirected twice: the cluster is changing";
            replies[at] = Err(LookupError::new(Code::LookupUnavailable, why));
        }
        replies
    }

    /// Sends requests at the same time. Returns the requests to send next: commands that were redirected, and commands that
    /// a replica failed to answer.
    async fn round(
        &self,
        commands: &[SlotCommand],
        requests: Vec<NodeRequest>,
        replies: &mut [Result<Reply, LookupError>],
    ) -> Vec<NodeRequest> {
        let send = async |request: &NodeRequest| {
            let packed: Vec<&[u8]> = request.at.iter().map(|&at| &*commands[at].packed).collect();
            request
                .node
                .send(&packed, request.route == Route::Asking)
                .await
        };
        let sent = join_all(requests.iter().map(send)).await;
        let mut again = Vec::new();
        for (request, sent) in requests.into_iter().zip(sent) {
            let replied = match sent {
                Ok(replied) => replied,
                Err(err) => {
                    self.nodes.look_again();
                    for at in request.at {
                        replies[at] = Err(err.clone());
                        if request.route == Route::Replica {
                            self.add_to_master(&mut again, commands, at);
                        }
                    }
                    continue;
                }
            };
            for (at, reply) in request.at.into_iter().zip(replied) {
                match reply {
                    NodeReply::Reply(reply) => {
                        replies[at] = self.accept(reply);
                        if request.route == Route::Replica && is_unavailable(&replies[at]) {
                            self.add_to_master(&mut again, commands, at);
                        }
                    }
                    NodeReply::Moved(to) => {
                        if let Some(node) = self.nodes.moved(commands[at].slot, to) {
                            add(&mut again, node, Route::Plain, at);
                        }
                    }
                    NodeReply::Ask(to) => {
                        if let Some(node) = self.nodes.node(&to) {
                            add(&mut again, node, Route::Asking, at);
                        }
                    }
                }
            }
        }
        again
    }

    fn add_to_master(&self, requests: &mut Vec<NodeRequest>, commands: &[SlotCommand], at: usize) {
        if let Some(node) = self.nodes.owner(commands[at].slot) {
            add(requests, node, Route::Plain, at);
        }
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

    /// Which commands go to which node, by the map. Commands of a slot that no node serves are omitted.
    fn requests(&self, commands: &[SlotCommand]) -> Vec<NodeRequest> {
        let mut requests = Vec::new();
        let batch = self.batches.get();
        self.batches.set(batch.wrapping_add(1));
        for (at, command) in commands.iter().enumerate() {
            if let Some(node) = self.nodes.replica(command.slot, batch) {
                add(&mut requests, node, Route::Replica, at);
                continue;
            }
            match self.nodes.owner(command.slot) {
                Some(node) => add(&mut requests, node, Route::Plain, at),
                None => self.nodes.look_again(),
            }
        }
        requests
    }
}

fn is_unavailable(reply: &Result<Reply, LookupError>) -> bool {
    matches!(reply, Err(err) if err.code == Code::LookupUnavailable)
}

/// Adds a command to what goes to `node`.
fn add(requests: &mut Vec<NodeRequest>, node: Rc<Node>, route: Route, at: usize) {
    let same =
        |request: &&mut NodeRequest| request.route == route && Rc::ptr_eq(&request.node, &node);
    match requests.iter_mut().find(same) {
        Some(request) => request.at.push(at),
        None => requests.push(NodeRequest {
            node,
            route,
            at: vec![at],
        }),
    }
}
