//! Asks a server to stop the statement that a session runs.
//!
//! A cancel request travels on a connection of its own, with the session's secret. It names the session, not the
//! statement: whatever the session runs when the request arrives is stopped. The server signals the session before it
//! closes that connection, and a session that runs nothing ignores the signal. So nothing new may be sent over a session
//! from the moment when a request leaves until the server has closed the request's connection.
//! Source: PostgreSQL's documentation, "Canceling Requests in Progress", and `ProcessInterrupts` of its source.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect as _;
use tokio_postgres::{CancelToken, Client, Config, NoTls};
use tokio_util::either::Either;

use super::tls::Secure;
use crate::backend::net::connect_addr;

/// The server that a connection leads to.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    socket: PeerSocket,
    /// Its name, which its certificate has.
    name: String,
}

#[derive(Clone, Debug)]
enum PeerSocket {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What stops the statements of one session.
pub(super) struct CancelHandle {
    token: CancelToken,
    peer: Peer,
    tls: Option<Secure>,
}

impl Peer {
    /// The only server of `config`. `None` if it has only a name.
    pub(super) fn of(config: &Config) -> Option<Peer> {
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let name = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(folder)) => {
                return Some(Peer {
                    socket: PeerSocket::Unix(folder.join(format!(".s.PGSQL.{port}"))),
                    name: String::new(),
                });
            }
            None => String::new(),
        };
        let addr = config.get_hostaddrs().first()?;
        Some(Peer {
            socket: PeerSocket::Tcp(SocketAddr::new(*addr, port)),
            name,
        })
    }

    async fn connect(&self) -> io::Result<UntilClosed<Either<TcpStream, UnixStream>>> {
        let stream = match &self.socket {
            PeerSocket::Tcp(addr) => Either::Left(connect_addr(*addr).await?),
            PeerSocket::Unix(path) => Either::Right(UnixStream::connect(path).await?),
        };
        Ok(UntilClosed {
            stream,
            is_shut: false,
        })
    }
}

impl CancelHandle {
    pub(super) fn new(client: &Client, peer: Peer, tls: Option<Secure>) -> Self {
        CancelHandle {
            token: client.cancel_token(),
            peer,
            tls,
        }
    }

    /// Stops the statement that the session runs. Afterwards the request has been handled.
    pub(super) async fn send(&self) -> Result<(), String> {
        let connected = self.peer.connect().await;
        let stream = connected.map_err(|err| err.to_string())?;
        let sent = match &self.tls {
            None => self.token.cancel_query_raw(stream, NoTls).await,
            Some(tls) => {
                let tls = tls.clone().make_tls_connect(&self.peer.name);
                let tls = tls.map_err(|err| err.to_string())?;
                self.token.cancel_query_raw(stream, tls).await
            }
        };
        sent.map_err(|err| err.to_string())
    }
}

/// A stream that is shut down only when the other end has closed it too.
struct UntilClosed<S> {
    stream: S,
    is_shut: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for UntilClosed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UntilClosed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut {
            // The server may have closed it by now.
            let _closed = ready!(Pin::new(&mut this.stream).poll_shutdown(cx));
            this.is_shut = true;
        }
        let mut rest = [0; 64];
        loop {
            let mut rest = ReadBuf::new(&mut rest);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut rest));
            if read.is_err() || rest.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
