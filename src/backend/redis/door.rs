//! Which server a connection is made to, and when a sound connection has to be given up.
//!
//! One server, a node of a cluster, or whichever server the sentinels call the master or a replica. [`Connection`] asks here
//! before each attempt, so that it never comes back to a server that is no longer the right one.
//!
//! [`Connection`]: super::connection::Connection

use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::pipe::Pipe;
use super::role::Role;
use super::sentinel::{CHECK_EVERY, Finder};
use super::server::Server;
use crate::backend::LookupError;

/// Where connections lead.
pub(super) enum Door {
    Server(Server),
    /// A node, whose connection is given up when its cluster says so.
    Node(Server, Rc<Notify>),
    Master(Rc<Finder>),
    Replica(Rc<Finder>),
}

impl Door {
    /// The server to connect to now.
    pub(super) async fn server(&self) -> Result<Server, LookupError> {
        match self {
            Door::Server(server) | Door::Node(server, _) => Ok(server.clone()),
            Door::Master(finder) => finder.find().await,
            Door::Replica(finder) => finder.find_replica().await,
        }
    }

    /// Whether the server at the other end of `pipe` is the right one.
    pub(super) async fn check(&self, pipe: &Pipe) -> Result<(), LookupError> {
        match self {
            Door::Server(_) => Ok(()),
            Door::Node(server, _) => in_sync(server, pipe).await,
            Door::Master(finder) => finder.check(pipe).await,
            Door::Replica(finder) => finder.check_replica(pipe).await,
        }
    }

    /// Waits until `pipe` must not be used any more although it is not broken.
    pub(super) async fn until_outdated(&self, server: &Server, pipe: &Pipe) {
        match self {
            Door::Server(_) => std::future::pending().await,
            Door::Node(node, given_up) => tokio::select! {
                () = given_up.notified() => {}
                () = until_late(node, pipe) => {}
            },
            Door::Master(finder) => finder.until_demoted(server, pipe).await,
            Door::Replica(finder) => finder.until_late(server, pipe).await,
        }
    }
}

/// Whether a node of a cluster is good to read from: where replicas are read, one that is not in sync is not.
async fn in_sync(node: &Server, pipe: &Pipe) -> Result<(), LookupError> {
    if !node.reads_replica {
        return Ok(());
    }
    match Role::ask(pipe).await? {
        Role::Master | Role::Replica => Ok(()),
        role => Err(role.is_not("a node of the cluster")),
    }
}

/// Waits until a node is not good to read from any more.
async fn until_late(node: &Server, pipe: &Pipe) {
    if !node.reads_replica {
        return std::future::pending().await;
    }
    loop {
        sleep(CHECK_EVERY).await;
        // No answer is no word against it: a connection that breaks ends by itself.
        let role = Role::ask(pipe).await;
        if role.is_ok_and(|role| !matches!(role, Role::Master | Role::Replica)) {
            return;
        }
    }
}
