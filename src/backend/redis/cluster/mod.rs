//! A cluster: each command goes to the node that serves its key, those of one batch and node as one pipeline.
//!
//! A command that is redirected is sent once more, to where it was told, and a second redirection is
//! `lookup.unavailable`; so is a slot whose node is away or that nobody serves. Other slots are not touched by
//! that. An `mget` of keys of several slots is taken apart and joined again; one of a slot that is on its way to
//! another node is asked key by key where no node can answer it whole. Where replicas are read, a slot's master is
//! asked for what none of them answers.

mod config; // the keys of a cluster
pub(super) mod slot; // from a key to its slot
mod parts; // from lookups to commands of one slot, and from replies to answers
pub(super) mod topology; // from slots to nodes
mod node; // one node and its connection
mod members; // all nodes, and the map as it changes

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::config::Seeds;
use self::members::Members;
use self::node::{Node, Said};
use self::parts::{ByKey, Part, Parts, is_torn};
use super::command::Command;
use super::connection::refused;
use super::resp::Reply;
use crate::backend::{Answer, Asked, LookupError};
use crate::error::Code;

/// One loop's view of a cluster.
pub(super) struct Cluster {
    members: Rc<Members>,
    /// Batches that were sent: which of several replicas is asked.
    batches: Cell<usize>,
    _keeper: AbortOnDropHandle<()>,
}

/// Commands for one node.
struct Errand {
    node: Rc<Node>,
    way: Way,
    /// Their places among the parts.
    at: Vec<usize>,
}

/// How commands go to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// To where the slot is on its way.
    Asking,
    /// To a replica; if it fails, to its master.
    Replica,
}

impl Cluster {
    /// Starts to look for the nodes, on this loop.
    pub(super) fn start(seeds: Seeds) -> Self {
        let members = Rc::new(Members::new(seeds));
        let keeper = tokio::task::spawn_local(members::keep(Rc::clone(&members)));
        Cluster {
            members,
            batches: Cell::new(0),
            _keeper: AbortOnDropHandle::new(keeper),
        }
    }

    /// One pipeline per node, of the different commands that are for it.
    pub(super) async fn lookup_many(
        &self,
        asked: &[Asked<'_, Command>],
    ) -> Vec<Result<Answer, LookupError>> {
        let parts = Parts::of(asked);
        let mut replies = self.ask(parts.parts()).await;
        if let Some(by_key) = ByKey::of(parts.parts(), &replies) {
            let singles = self.ask(by_key.parts()).await;
            by_key.join(singles, &mut replies);
        }
        parts.answers(asked, replies)
    }

    /// Sends every part to a node of its slot: one reply or failure each, in their order.
    async fn ask(&self, parts: &[Part]) -> Vec<Result<Reply, LookupError>> {
        if parts.is_empty() {
            return Vec::new();
        }
        if let Err(err) = self.members.found().await {
            return parts.iter().map(|_| Err(err.clone())).collect();
        }
        let mut replies: Vec<_> = parts
            .iter()
            .map(|part| Err(members::unserved(part.slot)))
            .collect();
        let mut errands = self.errands(parts);
        // To a node and once where it redirects to; before that perhaps to a replica that fails.
        let rounds = 2 + usize::from(errands.iter().any(|errand| errand.way == Way::Replica));
        for _ in 0..rounds {
            if errands.is_empty() {
                break;
            }
            errands = self.round(parts, errands, &mut replies).await;
        }
        for at in errands.into_iter().flat_map(|errand| errand.at) {
            let why = "redirected twice: the cluster is changing";
            replies[at] = Err(LookupError::new(Code::LookupUnavailable, why));
        }
        replies
    }

    /// Runs errands at the same time. Gives those that redirected commands make, and those that a replica failed.
    async fn round(
        &self,
        parts: &[Part],
        errands: Vec<Errand>,
        replies: &mut [Result<Reply, LookupError>],
    ) -> Vec<Errand> {
        let run = async |errand: &Errand| {
            let commands: Vec<&[u8]> = errand.at.iter().map(|&at| &*parts[at].command).collect();
            errand.node.send(&commands, errand.way == Way::Asking).await
        };
        let said = join_all(errands.iter().map(run)).await;
        let mut again = Vec::new();
        for (errand, said) in errands.into_iter().zip(said) {
            let said = match said {
                Ok(said) => said,
                Err(err) => {
                    self.members.look_again();
                    for at in errand.at {
                        replies[at] = Err(err.clone());
                        if errand.way == Way::Replica {
                            self.add_to_master(&mut again, parts, at);
                        }
                    }
                    continue;
                }
            };
            for (at, said) in errand.at.into_iter().zip(said) {
                match said {
                    Said::Reply(reply) => {
                        replies[at] = self.heard(reply);
                        if errand.way == Way::Replica && is_unavailable(&replies[at]) {
                            self.add_to_master(&mut again, parts, at);
                        }
                    }
                    Said::Moved(to) => {
                        if let Some(node) = self.members.moved(parts[at].slot, to) {
                            add(&mut again, node, Way::Plain, at);
                        }
                    }
                    Said::Ask(to) => {
                        if let Some(node) = self.members.node(&to) {
                            add(&mut again, node, Way::Asking, at);
                        }
                    }
                }
            }
        }
        again
    }

    fn add_to_master(&self, errands: &mut Vec<Errand>, parts: &[Part], at: usize) {
        if let Some(node) = self.members.owner(parts[at].slot) {
            add(errands, node, Way::Plain, at);
        }
    }

    /// A reply, unless it says that the cluster is changing or in trouble.
    fn heard(&self, reply: Reply) -> Result<Reply, LookupError> {
        match &reply {
            Reply::Error(words) if !is_torn(&reply) => {
                let err = refused(words);
                if err.code == Code::LookupUnavailable {
                    self.members.look_again();
                }
                Err(err)
            }
            _ => Ok(reply),
        }
    }

    /// Which commands go where, by the map. Those of a slot that nobody serves stay behind.
    fn errands(&self, parts: &[Part]) -> Vec<Errand> {
        let mut errands = Vec::new();
        let batch = self.batches.get();
        self.batches.set(batch.wrapping_add(1));
        for (at, part) in parts.iter().enumerate() {
            if let Some(node) = self.members.replica(part.slot, batch) {
                add(&mut errands, node, Way::Replica, at);
                continue;
            }
            match self.members.owner(part.slot) {
                Some(node) => add(&mut errands, node, Way::Plain, at),
                None => self.members.look_again(),
            }
        }
        errands
    }
}

fn is_unavailable(reply: &Result<Reply, LookupError>) -> bool {
    matches!(reply, Err(err) if err.code == Code::LookupUnavailable)
}

/// Adds a command to what goes to `node`.
fn add(errands: &mut Vec<Errand>, node: Rc<Node>, way: Way, at: usize) {
    let same = |errand: &&mut Errand| errand.way == way && Rc::ptr_eq(&errand.node, &node);
    match errands.iter_mut().find(same) {
        Some(errand) => errand.at.push(at),
        None => errands.push(Errand {
            node,
            way,
            at: vec![at],
        }),
    }
}
