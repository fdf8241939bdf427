//! Says which server a connection leads to, and when a connection that still works has to be given up.
//!
//! A [`Connection`] asks its endpoint before each attempt, so that it never reconnects to a server that is no longer the
//! right one. Servers of a cluster and servers that sentinels name have their own endpoints.
//!
//! [`Connection`]: super::connection::Connection

pub(super) use super::multiplexed::OnPush;

use super::multiplexed::Multiplexed;
use super::server::Server;
use crate::backend::LookupError;

/// Why a connection that works is given up, unless the endpoint knows better.
pub(super) const WRONG_SERVER: &str = "this is no longer the right server";

/// Where a connection leads.
pub(super) trait Endpoint {
    /// The server to connect to now.
    async fn server(&self) -> Result<Server, LookupError>;

    /// Whether the server that was connected to is the right one, as it says itself.
    async fn check(&self, _redis: &Multiplexed) -> Result<(), LookupError> {
        Ok(())
    }

    /// Waits until the connection must no longer be used, although it works. Returns why.
    async fn until_outdated(&self, _server: &Server, _redis: &Multiplexed) -> &'static str {
        std::future::pending().await
    }

    /// There is no connection for this reason, although one is wanted.
    fn is_lost(&self, _why: &LookupError) {}

    /// What is done with what the server says of its own accord, if anything.
    fn on_push(&self) -> Option<OnPush> {
        None
    }
}

/// One server is an endpoint that never changes.
impl Endpoint for Server {
    async fn server(&self) -> Result<Server, LookupError> {
        Ok(self.clone())
    }
}
