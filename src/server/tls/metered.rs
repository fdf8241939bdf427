//! Counts the memory that TLS keeps for a connection as memory of that connection.
//!
//! The library has three buffers and does not report how full they are:
//! - encrypted bytes of incomplete records and handshake messages: at most 18,437 bytes, 65,535 while a handshake
//!   message arrives in parts, which a client may begin at any time; 4 KiB when empty (rustls
//!   `msgs/deframer/buffers.rs`, `prepare_read`);
//! - decrypted bytes that were not taken yet: it reads no further while there are some, so at most the contents of one such
//!   buffer (`common_state.rs`, `wants_read`);
//! - encrypted bytes that were not sent yet, whose limit we set.
//!
//! So this type stands between the library and the socket: bytes that went in and have not come out are still held.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::service::{ConnectionMemory, Reservation};

/// The library's buffer before anything has arrived.
const EMPTY_BYTES: usize = 4 * 1024;
/// The library never keeps more.
const KEPT_BYTES_MAX: usize = 0xffff;

/// A socket under TLS.
pub(in crate::server) struct Metered<S> {
    stream: S,
    reservation: Reservation,
    /// At least the bytes that arrived and are still there, decrypted or not.
    kept: usize,
    /// The length of the last read, which contained the end of what was decrypted last.
    last: usize,
    /// At least the bytes that arrived after the last ones that were passed on.
    after: Option<usize>,
    unsent: usize,
}

impl<S> Metered<S> {
    pub(in crate::server) fn new(stream: S, memory: &Rc<ConnectionMemory>) -> Self {
        Metered {
            stream,
            reservation: Reservation::new(memory, EMPTY_BYTES),
            kept: 0,
            last: 0,
            after: None,
            unsent: 0,
        }
    }

    /// The stream below.
    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    fn read(&mut self, bytes: usize) {
        self.kept = (self.kept + bytes).min(KEPT_BYTES_MAX);
        self.last = bytes;
        self.after = self.after.map(|after| after + bytes);
        self.count();
    }

    /// That many bytes were decrypted and passed on.
    pub(super) fn gave(&mut self, bytes: usize) {
        // Encrypted they were a little more.
        self.kept = self.kept.saturating_sub(bytes);
        self.after = Some(self.last);
        self.count();
    }

    /// Nothing more can be passed on: nothing is left of what arrived before the last bytes that were passed on.
    pub(super) fn gave_all(&mut self) {
        if let Some(after) = self.after.take() {
            self.kept = self.kept.min(after);
            self.count();
        }
    }

    /// That many bytes are encrypted and not sent yet.
    pub(super) fn unsent(&mut self, bytes: usize) {
        self.unsent = bytes;
        self.count();
    }

    fn count(&self) {
        self.reservation.set(EMPTY_BYTES + self.kept + self.unsent);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.read(bytes);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LimitsConfig;
    use crate::metrics::LoopMetrics;
    use crate::service::MemoryPool;

    #[test]
    fn bytes_that_came_in_and_did_not_come_out_are_counted() {
        let metrics = LoopMetrics::unscraped();
        let memory = MemoryPool::new(&LimitsConfig::default(), &metrics).connection();
        let mut metered = Metered::new((), &memory);
        let counted = || metrics.buffered_bytes.get() - EMPTY_BYTES;
        assert_eq!(counted(), 0);
        // Half a record, then the other half with the beginning of the next.
        metered.read(500);
        metered.gave_all();
        assert_eq!(counted(), 500);
        metered.read(700);
        metered.gave(300);
        metered.gave(600);
        assert_eq!(counted(), 300);
        metered.read(50);
        metered.gave_all();
        assert_eq!(counted(), 350, "300 may still be there");
        // The overhead of encryption is forgotten once nothing is left to pass on.
        metered.read(10);
        metered.gave(5);
        assert_eq!(counted(), 355);
        metered.gave_all();
        assert_eq!(counted(), 10);
        // The parts of a handshake message are kept until it is complete.
        for _ in 0..20 {
            metered.read(10_000);
            metered.gave_all();
        }
        assert_eq!(counted(), KEPT_BYTES_MAX);
        metered.unsent(100);
        assert_eq!(counted(), KEPT_BYTES_MAX + 100);
        drop(metered);
        assert_eq!(metrics.buffered_bytes.get(), 0);
    }
}
