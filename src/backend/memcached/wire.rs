//! The bytes of one connection to a memcached server: one multi-get goes out, its answer comes back.
//!
//! Bytes that are there before a question is sent, or left over after its answer, end the connection: they would be taken
//! for the answer to the next question.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::either::Either;
use tokio_util::io::read_buf;

use super::account::Account;
use super::address::Address;
use super::answer::{Incoming, logged_in};
use super::value_sizes::Values;
use crate::backend::LookupError;
use crate::backend::format::bad_answer;
use crate::backend::memory::Reading;
use crate::backend::net::{Local, connect_local, connect_tcp};
use crate::error::Code;

/// How much is read at a time: about the answer to one batch.
const READ_BYTES: usize = 16 * 1024;

/// What is said of a connection that the server closed.
pub(super) const CLOSED: &str = "memcached closed the connection";

/// A connection. Not to be used again after an error, or when a future of it was dropped.
pub(super) struct Wire {
    stream: Either<TcpStream, Local>,
    sending: Vec<u8>,
    received: BytesMut,
}

impl Wire {
    /// A new connection to the server at `address`.
    pub(super) async fn connect(address: &Address) -> io::Result<Self> {
        let stream = match address {
            Address::Tcp(host, port) => Either::Left(connect_tcp(host, *port).await?),
            Address::Unix(path) => Either::Right(connect_local(path).await?),
        };
        Ok(Wire {
            stream,
            sending: Vec::new(),
            received: BytesMut::new(),
        })
    }

    /// Logs in. The command has `key` in the place of a key.
    pub(super) async fn log_in(&mut self, account: &Account, key: &str) -> Result<(), LookupError> {
        self.sending.clear();
        account.put(key, &mut self.sending);
        let sent = self.stream.write_all(&self.sending).await;
        // The account is not kept.
        self.sending = Vec::new();
        loop {
            if logged_in(&mut self.received)? {
                return Ok(());
            }
            if let Err(lost) = self.receive().await {
                return Err(sent.err().map_or(lost, |err| broke(&err)));
            }
        }
    }

    /// Asks for different keys: their values in the order of the keys, counted in `memory`.
    pub(super) async fn ask(
        &mut self,
        keys: &[Bytes],
        memory: Reading,
    ) -> Result<Values, LookupError> {
        self.sending.clear();
        self.sending.extend_from_slice(b"get");
        for key in keys {
            self.sending.push(b' ');
            self.sending.extend_from_slice(key);
        }
        self.sending.extend_from_slice(b"\r\n");
        let sent = self.stream.write_all(&self.sending).await;
        // Even if it can't be written: what the server said before it hung up may say why.
        let mut incoming = Incoming::new(keys, memory);
        loop {
            if let Some(found) = incoming.take(&mut self.received)? {
                return Ok(found);
            }
            if let Err(lost) = self.receive().await {
                return Err(sent.err().map_or(lost, |err| broke(&err)));
            }
        }
    }

    /// Whether bytes are left over after an answer.
    pub(super) fn has_more(&self) -> bool {
        !self.received.is_empty()
    }

    /// Waits until the connection can't be used any more although nothing is asked. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> LookupError {
        match self.receive().await {
            Ok(()) => bad_answer("memcached sent something that was not asked for"),
            Err(lost) => lost,
        }
    }

    /// Reads some bytes.
    async fn receive(&mut self) -> Result<(), LookupError> {
        self.received.reserve(READ_BYTES);
        match read_buf(&mut self.stream, &mut self.received).await {
            Ok(0) => Err(LookupError::new(Code::LookupUnavailable, CLOSED)),
            Ok(_) => Ok(()),
            Err(err) => Err(broke(&err)),
        }
    }
}

fn broke(err: &io::Error) -> LookupError {
    let why = format!("the connection to memcached broke: {err}");
    LookupError::new(Code::LookupUnavailable, why)
}
