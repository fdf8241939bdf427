//! Moves the bytes of one connection in both directions, with or without TLS.
//!
//! Buffers the bytes to send and the received bytes; [`super::exchange`] knows what they mean.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use rustls::ProtocolVersion;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use super::hosts::Host;
use crate::backend::net::Secure;
use crate::backend::net::{Stream, connect_tcp};

/// The size of the buffer for each read.
const READ_BYTES: usize = 16 * 1024;
/// No more is read at once, however much room there is: the kernel copies it.
const READ_BYTES_MAX: usize = 64 * 1024;
/// A connection.
pub(super) struct Wire {
    stream: Stream<TcpStream>,
    pub(super) received: BytesMut,
    /// Not written yet.
    pub(super) sending: BytesMut,
    /// Bytes have come.
    received_any: bool,
    /// The other end is gone.
    lost: bool,
    /// The other end has closed it.
    is_closed: bool,
}

impl Wire {
    /// A new connection to `host`.
    pub(super) async fn connect(host: &Host, secure: Option<&Secure>) -> io::Result<Self> {
        let stream = connect_tcp(&host.name, host.port).await?;
        let stream = match secure {
            None => Stream::Plain(stream),
            Some(secure) => {
                let name = host.certified.as_deref().unwrap_or(&host.name);
                secure.over(name, stream).await?
            }
        };
        Ok(Wire {
            stream,
            received: BytesMut::new(),
            sending: BytesMut::new(),
            received_any: false,
            lost: false,
            is_closed: false,
        })
    }

    /// Writes the bytes to send. Ends when some were written or bytes arrived, and returns whether any arrived. `Err` says
    /// why the connection can no longer be used. May be dropped and called again.
    pub(super) async fn moved(&mut self) -> Result<bool, String> {
        let moved = poll_fn(|cx| self.poll_moved(cx)).await;
        self.lost |= moved.is_err();
        moved
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, String>> {
        let unsent = self.sending.len();
        let sent = self.poll_send(cx);
        self.received.reserve(READ_BYTES);
        let mut room = (&mut self.received).limit(READ_BYTES_MAX);
        match poll_read_buf(Pin::new(&mut self.stream), cx, &mut room) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {
                self.received_any = true;
                Poll::Ready(Ok(true))
            }
            Poll::Ready(Err(err)) => Poll::Ready(Err(broke(&err))),
            // Only after reading: the received bytes may say why nothing more can be written.
            read => match sent {
                Poll::Ready(Err(err)) => Poll::Ready(Err(broke(&err))),
                _ if read.is_ready() => {
                    self.is_closed = true;
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
        // A TLS stream may hold bytes back until it is flushed.
        stream.poll_flush(cx)
    }

    /// Whether the service has closed it, between two messages as far as is known here.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed && self.received.is_empty()
    }

    /// Whether the service hung up over TLS without sending anything, as it does if it does not accept our certificate:
    /// with TLS 1.3, it checks our certificate after our side of the handshake is done.
    pub(super) fn is_refused(&self) -> bool {
        self.stream.session().is_some() && self.lost && !self.received_any
    }

    /// Waits until the service has checked our certificate: it then sends tickets, or says why it hangs up. A service
    /// that sends nothing within `patience` is taken to have accepted it.
    pub(super) async fn is_taken(&mut self, patience: Duration) -> io::Result<()> {
        let version = self
            .stream
            .session()
            .map(|session| session.protocol_version());
        if version != Some(Some(ProtocolVersion::TLSv1_3)) {
            return Ok(());
        }
        let Ok(readable) = timeout(patience, self.stream.socket().readable()).await else {
            return Ok(());
        };
        readable?;
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let stream = &mut self.stream;
        let read = poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut byte))).await;
        match read {
            Poll::Ready(Err(err)) => Err(err),
            Poll::Ready(Ok(())) if byte.filled().is_empty() => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Ok(()),
        }
    }
}

fn broke(err: &io::Error) -> String {
    format!("the connection broke: {err}")
}
