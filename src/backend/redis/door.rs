//! Which server a connection is made to, and when a sound connection has to be given up.
//!
//! One server, or whichever server the sentinels call the master. [`Connection`] asks here
//! before each attempt, so that it never comes back to a server that is no longer the right one.
//!
//! [`Connection`]: super::connection::Connection

use std::rc::Rc;

use super::pipe::Pipe;
use super::sentinel::Finder;
use super::server::Server;
use crate::backend::LookupError;

/// Where connections lead.
pub(super) enum Door {
    Server(Server),
    Master(Rc<Finder>),
}

impl Door {
    /// The server to connect to now.
    pub(super) async fn server(&self) -> Result<Server, LookupError> {
        match self {
            Door::Server(server) => Ok(server.clone()),
            Door::Master(finder) => finder.find().await,
        }
    }

    /// Whether the server at the other end of `pipe` is the right one.
    pub(super) async fn check(&self, server: &Server, pipe: &Pipe) -> Result<(), LookupError> {
        match self {
            Door::Server(_) => Ok(()),
            Door::Master(finder) => finder.check(server, pipe).await,
        }
    }

    /// Waits until `pipe` must not be used any more although it is not broken.
    pub(super) async fn until_outdated(&self, server: &Server, pipe: &Pipe) {
        match self {
            Door::Server(_) => std::future::pending().await,
            Door::Master(finder) => finder.until_demoted(server, pipe).await,
        }
    }
}
