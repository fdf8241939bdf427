//! The last words of a connection whose client sent what is not read to its end.
//!
//! Who sent it, and what for, stands at the beginning of a message; so its client gets an answer like any other, after
//! those that it is owed, and then the connection ends.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::Disconnect;
use super::exchange::{Exchange, READ_BYTES_FIRST};
use crate::error::Code;
use crate::service::Arrival;
use crate::thrift::{Transport, WireError};

/// How long what a client still sends is read and forgotten after its last answer. If it were not read, the end of
/// the connection could take the answer away from under the client.
const LINGER: Duration = Duration::from_secs(2);

impl Exchange {
    /// Answers the message of which no more is read, the one at the front or that of the frame whose header was read
    /// last; whether that could be done.
    pub(super) fn answer_start(&mut self, err: &WireError) -> bool {
        let Some(wire_format) = self.framer.wire_format() else {
            return false;
        };
        let start = self.framer.start(&self.input).unwrap_or_default();
        let arrival = Arrival {
            wire_format,
            header: self.framer.header(),
            peer: &self.peer,
            memory: None,
            at: Instant::now(),
        };
        let reply = self.current.get().refuse_start(arrival, start, err);
        let answered = reply.is_some();
        if let Some(reply) = reply {
            self.calls.push_reply(reply);
        }
        answered
    }

    /// There was no room for the rest of a message, and there still is none.
    pub(super) fn refuse_rest(&mut self) -> Result<(), Disconnect> {
        let detail = "what clients sent takes up all of `buffered_bytes_max`";
        let err = WireError::new(Code::ServerOverloaded, detail);
        let framed = self
            .framer
            .wire_format()
            .map(|wire_format| wire_format.transport);
        let begun = framed != Some(Transport::Header)
            || self.framer.begin(&self.input).map_err(Disconnect::Wire)?;
        if !begun || !self.answer_start(&err) {
            return Err(Disconnect::Overloaded);
        }
        self.ending = Some(Disconnect::Overloaded);
        Ok(())
    }

    /// Ends the sending half, and reads what the client still sends for a while.
    pub(super) async fn linger<R, W>(&mut self, mut reader: R, mut writer: W)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        self.input = BytesMut::with_capacity(READ_BYTES_FIRST);
        self.count();
        let reading = async {
            // Whoever is refused is one of thousands, maybe.
            let coop = self.memory.pool().coop();
            let ended = coop.in_slices(|| true, writer.shutdown()).await;
            ended.transpose()?;
            loop {
                self.input.clear();
                let read = reader.read_buf(&mut self.input);
                match coop.in_slices(|| true, read).await.transpose()? {
                    None | Some(0) => return io::Result::Ok(()),
                    Some(bytes) => self.metrics.received.add(0, bytes),
                }
            }
        };
        // It ends one way or another: by its client, by the network, or with its time.
        let _ended = timeout(LINGER, reading).await;
    }
}
