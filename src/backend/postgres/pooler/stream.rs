//! A byte stream to a pooler, whose messages are rewritten both ways.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, TlsStream};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::expected::ExpectedReplies;
use super::replies::Replies;
use super::requests::Requests;
use crate::backend::net;

/// With more bytes than this unsent, the client has to wait.
const UNSENT_MAX: usize = 64 * 1024;
/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// A stream `S` whose messages are rewritten.
pub(super) struct Rewritten<S> {
    stream: S,
    requests: Requests,
    replies: Replies,
    steps: ExpectedReplies,
    /// To be sent.
    unsent: BytesMut,
    /// Received, not filtered.
    input: BytesMut,
    /// For the client.
    ready: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Rewritten<S> {
    pub(super) fn new(stream: S, preamble: Bytes) -> Self {
        Rewritten {
            stream,
            requests: Requests::new(preamble),
            replies: Replies::default(),
            steps: ExpectedReplies::new(),
            unsent: BytesMut::new(),
            input: BytesMut::new(),
            ready: BytesMut::new(),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = poll_write_buf(Pin::new(&mut self.stream), cx, &mut self.unsent);
            if ready!(sent)? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Rewritten<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.ready.is_empty() {
            this.input.reserve(READ_BYTES);
            let read = poll_read_buf(Pin::new(&mut this.stream), cx, &mut this.input);
            if ready!(read)? == 0 {
                return Poll::Ready(Ok(()));
            }
            this.replies
                .take(&mut this.input, &mut this.ready, &mut this.steps)?;
        }
        let length = this.ready.len().min(buffer.remaining());
        buffer.put_slice(&this.ready[..length]);
        this.ready.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Rewritten<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.unsent.len() > UNSENT_MAX {
            ready!(this.send(cx))?;
        }
        this.requests
            .take(bytes, &mut this.unsent, &mut this.steps)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.send(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.send(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl TlsStream for Rewritten<net::Stream<Socket>> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// A socket, or why there is none: each use fails with that.
pub(super) struct Perhaps(pub(super) io::Result<UnixStream>);

impl Perhaps {
    fn socket(self: Pin<&mut Self>) -> io::Result<Pin<&mut UnixStream>> {
        match &mut self.get_mut().0 {
            Ok(socket) => Ok(Pin::new(socket)),
            Err(err) => Err(io::Error::new(err.kind(), err.to_string())),
        }
    }
}

impl AsyncRead for Perhaps {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Perhaps {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}
