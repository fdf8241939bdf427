//! Which server a connection is made to, and when a sound connection has to be given up.
//!
//! One server, a node of a cluster, or whichever server the sentinels call the master. [`Connection`] asks here
//! before each attempt, so that it never comes back to a server that is no longer the right one.
//!
//! [`Connection`]: super::connection::Connection

use std::rc::Rc;

use tokio::sync::Notify;

use super::pipe::Pipe;
use super::sentinel::Finder;
use super::server::Server;
use crate::backend::LookupError;

/// Where connections lead.
pub(super) enum Door {
    Server(Server),
    /// A node, whose connection is given up when its cluster says so.
    Node(Server, Rc<Notify>),
    Master(Rc<Finder>),
}

impl Door {
    /// The server to connect to now.
    pub(super) async fn server(&self) -> Result<Server, LookupError> {
        match self {
            Door::Server(server) | Door::Node(server, _) => Ok(server.clone()),
            Door::Master(finder) => finder.find().await,
        }
    }

    /// Whether the server at the other end of `pipe` is the right one.
    pub(super) async fn check(&self, server: &Server, pipe: &Pipe) -> Result<(), LookupError> {
        match self {
            Door::Server(_) | Door::Node(..) => Ok(()),
            Door::Master(finder) => finder.check(server, pipe).await,
        }
    }

    /// Waits until `pipe` must not be used any more although it is not broken.
    pub(super) async fn until_outdated(&self, server: &Server, pipe: &Pipe) {
        match self {
            Door::Server(_) => std::future::pending().await,
            Door::Node(_, given_up) => given_up.notified().await,
            Door::Master(finder) => finder.until_demoted(server, pipe).await,
        }
    }
}
