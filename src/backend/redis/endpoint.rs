//! Which server a connection is made to, and when a connection that still works has to be given up.
//!
//! A [`Connection`] asks its endpoint before each attempt, so that it never comes back to a server that is no longer the
//! right one. Servers of a cluster and those that sentinels name have endpoints of their own.
//!
//! [`Connection`]: super::connection::Connection

use super::multiplexed::Multiplexed;
use super::server::Server;
use crate::backend::LookupError;

/// Where a connection leads.
pub(super) trait Endpoint {
    /// The server to connect to now.
    async fn server(&self) -> Result<Server, LookupError>;

    /// Whether the server that was connected to is the right one, as it says itself.
    async fn check(&self, _redis: &Multiplexed) -> Result<(), LookupError> {
        Ok(())
    }

    /// Waits until the connection must not be used any more although it works.
    async fn until_outdated(&self, _server: &Server, _redis: &Multiplexed) {
        std::future::pending::<()>().await;
    }
}

/// One server is an endpoint that never changes.
impl Endpoint for Server {
    async fn server(&self) -> Result<Server, LookupError> {
        Ok(self.clone())
    }
}
