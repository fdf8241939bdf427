//! Has a server stop the statement of a session, with `KILL QUERY` from another session.
//!
//! The number in `KILL QUERY` means something to one server only, and behind a proxy nothing. So a session that could be
//! stopped knows its server: the address, what the server says of itself, and that the number of the session is the
//! server's own. The request goes to the same address, and only if the same server answers there.

use super::client::{Connection, Peer};
use super::options::Options;

/// What a server says of itself. Only MySQL from 5.7.8 on reads a comment that begins with `/*!50708`.
const IDENTITY: &str = "select concat_ws(' ', connection_id(), @@hostname, @@port, @@server_id \
     /*!50708 , @@server_uuid */)";

/// A session whose statements can be stopped.
pub(super) struct Target {
    peer: Peer,
    session: u32,
    server: String,
}

impl Target {
    /// The session of `connection`. `None` if its number is not the server's own.
    pub(super) async fn of(connection: &mut Connection) -> Option<Self> {
        let (session, server) = identity(connection).await?;
        let peer = connection.peer().clone();
        (session == connection.session()).then_some(Target {
            peer,
            session,
            server,
        })
    }

    /// Stops the statement that the session runs. Afterwards the request has been handled.
    pub(super) async fn stop(&self, options: &Options) -> Result<(), String> {
        let options = Options {
            session: Vec::new(),
            ..options.clone()
        };
        let connected = Connection::connect_to(&self.peer, &options).await;
        let mut connection = connected.map_err(|err| err.to_string())?;
        let other = identity(&mut connection).await;
        if other.is_none_or(|(_, server)| server != self.server) {
            return Err("another server answers at its address".to_owned());
        }
        let kill = format!("kill query {}", self.session);
        let killed = connection.query(&kill).await;
        connection.quit().await;
        killed.map(drop).map_err(|err| err.to_string())
    }
}

/// The number of a session, and what tells its server from others.
async fn identity(connection: &mut Connection) -> Option<(u32, String)> {
    let identity = connection.query(IDENTITY).await.ok()??;
    let (session, server) = identity.split_once(' ')?;
    Some((session.parse().ok()?, server.to_owned()))
}
