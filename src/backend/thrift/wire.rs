//! The bytes of one connection both ways, in the clear or over TLS.
//!
//! Gathers what is to be sent and what came; what the bytes mean is [`super::exchange`]'s to say.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls::ProtocolVersion;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tokio_util::io::poll_read_buf;

use super::hosts::Host;
use crate::backend::tls::{Secure, of_stream};

/// How much room is made for each read.
const READ_BYTES: usize = 16 * 1024;
/// How long sent bytes may stay unacknowledged before the kernel gives a connection up. Without it, lookups
/// would time out one by one for a quarter of an hour when the service's machine is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// A connection.
pub(super) struct Wire {
    stream: Either<TcpStream, TlsStream<TcpStream>>,
    pub(super) received: BytesMut,
    /// Not written yet.
    pub(super) sending: BytesMut,
    /// Bytes have come.
    heard: bool,
    /// The other end is gone.
    lost: bool,
}

impl Wire {
    /// A new connection to `host`.
    pub(super) async fn connect(host: &Host, secure: Option<&Secure>) -> io::Result<Self> {
        let stream = TcpStream::connect((&*host.name, host.port)).await?;
        // What is to be gathered is gathered before it is written.
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        let stream = match secure {
            None => Either::Left(stream),
            Some(secure) => Either::Right(secure.over(&host.name, stream).await?),
        };
        Ok(Wire {
            stream,
            received: BytesMut::new(),
            sending: BytesMut::new(),
            heard: false,
            lost: false,
        })
    }

    /// Writes what is to be sent. Ends when some of it went or bytes came, and says whether they did; `Err` says why
    /// the connection is no good any more. May be dropped and asked again.
    pub(super) async fn moved(&mut self) -> Result<bool, String> {
        let moved = poll_fn(|cx| self.poll_moved(cx)).await;
        self.lost |= moved.is_err();
        moved
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, String>> {
        let unsent = self.sending.len();
        let sent = self.poll_send(cx);
        self.received.reserve(READ_BYTES);
        match poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.received) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {
                self.heard = true;
                Poll::Ready(Ok(true))
            }
            Poll::Ready(Err(err)) => Poll::Ready(Err(broke(err))),
            // Not before what came is read: it may say why nothing can be written any more.
            read => match sent {
                Poll::Ready(Err(err)) => Poll::Ready(Err(broke(err))),
                _ if read.is_ready() => {
                    Poll::Ready(Err("the service closed the connection".into()))
                }
                _ if self.sending.len() < unsent => Poll::Ready(Ok(false)),
                _ => Poll::Pending,
            },
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.stream);
        while !self.sending.is_empty() {
            match ready!(stream.as_mut().poll_write(cx, &self.sending))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.sending.advance(bytes),
            }
        }
        // A stream that encrypts may hold bytes back until then.
        stream.poll_flush(cx)
    }

    /// Whether the service hung up over TLS without a word, as it does when it wants another certificate of us: with
    /// TLS 1.3 it looks at that when the handshake is done for us.
    pub(super) fn is_turned_down(&self) -> bool {
        matches!(self.stream, Either::Right(_)) && self.lost && !self.heard
    }

    /// Waits until the service has looked at our certificate: then it sends tickets, or says why it hangs up. One
    /// that sends nothing within `patience` has said nothing against it.
    pub(super) async fn is_taken(&mut self, patience: Duration) -> io::Result<()> {
        let Either::Right(tls) = &mut self.stream else {
            return Ok(());
        };
        let (socket, session) = tls.get_ref();
        if session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return Ok(());
        }
        let Ok(heard) = timeout(patience, socket.readable()).await else {
            return Ok(());
        };
        heard?;
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let read = poll_fn(|cx| Poll::Ready(Pin::new(&mut *tls).poll_read(cx, &mut byte))).await;
        match read {
            Poll::Ready(Err(err)) => Err(of_stream(err)),
            Poll::Ready(Ok(())) if byte.filled().is_empty() => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Ok(()),
        }
    }
}

fn broke(err: io::Error) -> String {
    format!("the connection broke: {}", of_stream(err))
}
