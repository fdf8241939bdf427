//! Makes TCP sockets for long-lived connections.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// How long sent bytes may stay unacknowledged before the kernel gives up the connection. Without this limit, lookups
/// would time out one by one for a quarter of an hour after the server's machine is gone.
pub(in crate::backend) const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// Connects to `host`, a name or an address. Small writes are sent immediately, because callers gather what belongs
/// together.
pub(in crate::backend) async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(stream)
}
