//! What a listener accepts from: the socket while the server runs, and then the queue of connections that the kernel has
//! accepted. In the end nobody may be in it, since closing it resets them.

use std::io;
use std::net::SocketAddr;

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::client::Remote;

/// A socket that listens.
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listening socket, without the runtime.
pub(super) enum Queue {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// A connection, with the address of its client.
pub(super) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Drops TCP segments with the flag SYN and passes others, as a program of the kernel's classic packet filter.
const DROP_SYN: [SockFilter; 4] = [
    // Load the byte with the flags, which is at offset 13 of the TCP header (RFC 9293, 3.1).
    SockFilter::new(0x30, 0, 0, 13),
    // SYN is its second lowest bit. If it is set, go on, otherwise skip one.
    SockFilter::new(0x45, 0, 1, 0x02),
    // Pass no bytes.
    SockFilter::new(0x06, 0, 0, 0),
    // Pass all.
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

impl Socket {
    /// The connections that the kernel has accepted. The runtime knows of a connection only once it has taken the kernel's
    /// event for it, so the kernel is asked directly.
    pub(super) fn into_queue(self) -> io::Result<Queue> {
        Ok(match self {
            Socket::Tcp(socket) => Queue::Tcp(socket.into_std()?),
            Socket::Unix(socket) => Queue::Unix(socket.into_std()?),
        })
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok(Stream::Tcp(stream, peer))
            }
            Socket::Unix(socket) => Ok(Stream::Unix(socket.accept().await?.0)),
        }
    }
}

impl Queue {
    /// Lets a port take no further connections, so that closing it resets none: it drops the first packet of each. Their
    /// clients repeat it after a second, and are refused then.
    ///
    /// A Unix socket is left as it is. It could be shut down for reading, but all loops share it, and the runtime of one that
    /// still accepts would take that for an endless event.
    pub(super) fn refuse_further(&self) {
        if let Queue::Tcp(socket) = self {
            // Best effort: without it, a connection that comes in the next microseconds is reset.
            let _refused = SockRef::from(socket).attach_filter(&DROP_SYN);
        }
    }

    /// The next connection. [`is_end`] recognises that there is none.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Queue::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Tcp(TcpStream::from_std(stream)?, peer))
            }
            Queue::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(UnixStream::from_std(stream)?))
            }
        }
    }
}

impl Stream {
    pub(super) fn remote(&self) -> Remote {
        match self {
            Stream::Tcp(_, peer) => Remote::Tcp(*peer),
            Stream::Unix(_) => Remote::Unix,
        }
    }
}

/// Whether a [`Queue`] is empty.
pub(super) fn is_end(err: &io::Error) -> bool {
    err.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use socket2::{SockAddr, Socket as AnySocket, Type};

    use super::*;

    /// Connects without waiting for the server's answer.
    fn connect(addr: &SockAddr) -> io::Result<AnySocket> {
        let client = AnySocket::new(addr.domain(), Type::STREAM, None)?;
        client.set_nonblocking(true)?;
        match client.connect(addr) {
            Err(err) if err.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(err),
            _ => Ok(client),
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_port_takes_no_further_connections_before_it_is_closed() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        port.set_nonblocking(true).expect("a socket");
        let addr = port.local_addr().expect("a socket").into();
        let queue = Queue::Tcp(port);
        let _waiting = connect(&addr).expect("it listens");
        queue.refuse_further();
        let _further = connect(&addr);
        assert!(queue.accept().is_ok(), "it waited before");
        let end = queue.accept().map(drop).expect_err("no other came in");
        assert!(is_end(&end), "{end}");
    }

    /// What one loop does to a Unix socket at its end must not keep another loop busy that still accepts.
    #[tokio::test(flavor = "local")]
    async fn the_end_of_one_loop_leaves_a_shared_socket_quiet() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("socket");
        let socket = std::os::unix::net::UnixListener::bind(&path).expect("a free path");
        socket.set_nonblocking(true).expect("a socket");
        let other = socket.try_clone().expect("a socket");
        let other = Socket::Unix(UnixListener::from_std(other).expect("a runtime"));
        let queue = Queue::Unix(socket);
        queue.refuse_further();
        drop(queue);
        let accepted = tokio::time::timeout(std::time::Duration::from_millis(20), other.accept());
        assert!(accepted.await.is_err(), "it waits, and lets others run");
        let addr = SockAddr::unix(&path).expect("a short path");
        let _client = connect(&addr).expect("it still listens");
        assert!(other.accept().await.is_ok());
    }
}
