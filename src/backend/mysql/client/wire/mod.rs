//! The bytes of one connection to a MySQL server: packets go out and come back.
//!
//! A packet is a length of 3 bytes, a number that counts the packets of one command, and its payload; a payload of 16 MiB
//! or more takes several. With compression, the packets travel inside of other packets. A length is only trusted as far
//! as bytes arrive. Bytes that are there before a command is sent, or left over after its answer, end the connection: they
//! would be taken for the answer to the next command.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::yield_now;
use tokio_util::either::Either;
use tokio_util::io::read_buf;

use super::compressed::{Compressed, PAYLOAD_MAX};
use super::packet::server_error;
use crate::backend::mysql::error::Error;
use crate::backend::net::Stream;

/// How much is read at a time: about the answer to one batch.
const READ_BYTES: usize = 16 * 1024;
/// No more is read at once, however much room there is: the kernel copies it.
const READ_BYTES_MAX: usize = 64 * 1024;
/// The length and the number of a packet.
const HEADER_BYTES: usize = 4;
/// The longest payload that is not a row: a greeting, an error with its words, a server's public key, a column.
pub(super) const SMALL_BYTES_MAX: usize = 8 * 1024;

/// A socket to a server, encrypted or not.
pub(super) type Socket = Either<Stream<TcpStream>, UnixStream>;

/// A connection. Not to be used again after an error of it, or when a future of it was dropped, except where noted.
pub(super) struct Wire<S> {
    stream: S,
    sending: Vec<u8>,
    /// What has come and was not taken.
    received: BytesMut,
    compressed: Option<Compressed>,
    /// The number of the next packet, in either direction.
    number: u8,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection over which nothing was said.
    pub(super) fn new(stream: S) -> Self {
        Wire {
            stream,
            sending: Vec::new(),
            received: BytesMut::new(),
            compressed: None,
            number: 0,
        }
    }

    /// Says the same over another stream, such as one that encrypts. What came in plain text is not taken for an answer in it.
    pub(super) fn into_stream(self) -> Result<(S, impl FnOnce(S) -> Self), Error> {
        if self.has_more() {
            return Err(Error::Unasked);
        }
        let (number, sending) = (self.number, self.sending);
        let over = move |stream| Wire {
            sending,
            number,
            ..Wire::new(stream)
        };
        Ok((self.stream, over))
    }

    /// Compresses from now on.
    pub(super) fn compress(&mut self, level: Compression) {
        self.compressed = Some(Compressed::new(level));
    }

    /// Sends the payload of a command, after which only its answer may come.
    pub(super) async fn command(&mut self, payload: &[u8]) -> Result<(), Error> {
        // Whoever reads first would take it for the answer.
        if self.has_more() {
            return Err(self.unasked());
        }
        if let Some(received) = futures_util::FutureExt::now_or_never(self.receive()) {
            received?;
            return Err(self.unasked());
        }
        self.number = 0;
        if let Some(compressed) = &mut self.compressed {
            compressed.begin();
        }
        self.send(payload).await
    }

    /// Sends a payload in the course of a conversation.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sending.clear();
        let mut rest = payload;
        loop {
            let (now, later) = rest.split_at(rest.len().min(PAYLOAD_MAX));
            let length = u32::try_from(now.len()).expect("at most 3 bytes");
            self.sending.extend_from_slice(&length.to_le_bytes()[..3]);
            self.sending.push(self.number);
            self.number = self.number.wrapping_add(1);
            self.sending.extend_from_slice(now);
            rest = later;
            if now.len() < PAYLOAD_MAX {
                break;
            }
        }
        if let Some(compressed) = &mut self.compressed {
            compressed.pack(&mut self.sending)?;
        }
        let sent = async {
            self.stream.write_all(&self.sending).await?;
            self.stream.flush().await
        };
        let Err(err) = sent.await else {
            return Ok(());
        };
        // What the server said before it hung up may say why.
        match self.packet(SMALL_BYTES_MAX).await {
            Ok(packet) => Err(server_error(&packet).unwrap_or(Error::Io(err))),
            Err(_) => Err(Error::Io(err)),
        }
    }

    /// The payload of the next packet, of at most this length.
    pub(super) async fn packet(&mut self, bytes_max: usize) -> Result<Bytes, Error> {
        let mut joined = BytesMut::new();
        loop {
            self.receive_at_least(HEADER_BYTES).await?;
            let buffer = self.buffer();
            let length =
                usize::from(buffer[0]) | usize::from(buffer[1]) << 8 | usize::from(buffer[2]) << 16;
            let number = buffer[3];
            if joined.len() + length > bytes_max {
                return Err(Error::Protocol("it announces more than it may send"));
            }
            // Compressed packets have numbers of their own, and a server may count these with those.
            if number != self.number && self.compressed.is_none() {
                return Err(Error::Protocol("its packets are out of order"));
            }
            self.number = number.wrapping_add(1);
            self.receive_at_least(HEADER_BYTES + length).await?;
            let buffer = self.buffer();
            buffer.advance(HEADER_BYTES);
            let payload = buffer.split_to(length);
            joined.unsplit(payload);
            if length < PAYLOAD_MAX {
                return Ok(joined.freeze());
            }
        }
    }

    /// Whether something has come that was not taken.
    pub(super) fn has_more(&self) -> bool {
        let unpacked = self.compressed.as_ref().map(Compressed::has_more);
        !self.received.is_empty() || unpacked == Some(true)
    }

    /// Waits until the connection can't be used any more although no command was sent. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Error {
        match self.receive().await {
            Ok(()) => self.unasked(),
            Err(lost) => lost,
        }
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Why the connection ends although nothing was asked: a server that ends the session may say so.
    fn unasked(&self) -> Error {
        let said = self.received.get(HEADER_BYTES..);
        let said = said.filter(|_| self.compressed.is_none());
        said.and_then(server_error).unwrap_or(Error::Unasked)
    }

    /// The packets that have come.
    fn buffer(&mut self) -> &mut BytesMut {
        match &mut self.compressed {
            None => &mut self.received,
            Some(compressed) => compressed.unpacked(),
        }
    }

    async fn receive_at_least(&mut self, bytes: usize) -> Result<(), Error> {
        while self.buffer().len() < bytes {
            if let Some(compressed) = &mut self.compressed
                && compressed.unpack(&mut self.received)?
            {
                continue;
            }
            self.receive().await?;
            if self.received.len() > READ_BYTES_MAX {
                // A large row may come as fast as it is read.
                yield_now().await;
            }
        }
        Ok(())
    }

    /// Reads some bytes. May be dropped and called again.
    async fn receive(&mut self) -> Result<(), Error> {
        self.received.reserve(READ_BYTES);
        let mut room = (&mut self.received).limit(READ_BYTES_MAX);
        match read_buf(&mut self.stream, &mut room).await {
            Ok(0) => Err(Error::Closed),
            Ok(_) => Ok(()),
            Err(err) => Err(Error::Io(err)),
        }
    }
}

#[cfg(test)]
mod tests;
