//! What a listener accepts from: the socket while the server runs, and then the queue of connections that the kernel has
//! accepted. It has to be empty when it is closed, since closing it resets those in it.

use std::io;
use std::net::SocketAddr;

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::client::Remote;
use super::socket::ListeningSocket;

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

/// A connection, without the runtime: on its way to the loop that serves it.
pub(super) enum Detached {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(std::os::unix::net::UnixStream),
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
    /// Listens within the runtime of the caller.
    pub(super) fn new(socket: ListeningSocket) -> io::Result<Self> {
        Ok(match socket {
            ListeningSocket::Tcp(socket) => Socket::Tcp(TcpListener::from_std(socket)?),
            ListeningSocket::Unix(socket) => Socket::Unix(UnixListener::from_std(socket)?),
        })
    }

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
    /// A Unix socket has no such filter, and is left as it is.
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
                Detached::Tcp(stream, peer).attach()
            }
            Queue::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Detached::Unix(stream).attach()
            }
        }
    }
}

impl Stream {
    /// Takes it from the runtime of this thread.
    pub(super) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Stream::Tcp(stream, peer) => Detached::Tcp(stream.into_std()?, peer),
            Stream::Unix(stream) => Detached::Unix(stream.into_std()?),
        })
    }

    pub(super) fn remote(&self) -> Remote {
        match self {
            Stream::Tcp(_, peer) => Remote::Tcp(*peer),
            Stream::Unix(_) => Remote::Unix,
        }
    }
}

impl Detached {
    /// Gives it to the runtime of this thread.
    pub(super) fn attach(self) -> io::Result<Stream> {
        Ok(match self {
            Detached::Tcp(stream, peer) => Stream::Tcp(TcpStream::from_std(stream)?, peer),
            Detached::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
        })
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
}
