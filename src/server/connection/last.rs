//! The last words of a connection whose client sent what is not read to its end.
//!
//! Who sent it, and what for, stands at the beginning of a message; so its client gets an answer like any other, after
//! those that it is owed, and then the connection ends.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::End;
use super::exchange::{Exchange, READ_BYTES_FIRST};
use crate::error::Code;
use crate::service::Arrival;
use crate::thrift::WireError;

/// How long what a client still sends is read and forgotten after its last answer. If it were not read, the end of
/// the connection could take the answer away from under the client.
const LINGER: Duration = Duration::from_secs(2);

impl Exchange {
    /// Answers the message at the front, of which no more is read; whether that could be done.
    pub(super) fn answer_start(&mut self, err: &WireError) -> bool {
        let (Some(shape), Some(start)) = (self.framer.shape(), self.framer.start(&self.input))
        else {
            return false;
        };
        let arrival = Arrival {
            shape,
            header: None,
            peer: &self.peer,
            account: None,
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
    pub(super) fn refuse_rest(&mut self) -> Result<(), End> {
        let detail = "what clients sent takes up all of `buffered_bytes_max`";
        let err = WireError::new(Code::ServerOverloaded, detail);
        if !self.answer_start(&err) {
            return Err(End::Overloaded);
        }
        self.ending = Some(End::Overloaded);
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
            let pace = self.account.room().pace();
            let ended = pace.in_turns(|| true, writer.shutdown()).await;
            ended.transpose()?;
            loop {
                self.input.clear();
                let read = reader.read_buf(&mut self.input);
                match pace.in_turns(|| true, read).await.transpose()? {
                    None | Some(0) => return io::Result::Ok(()),
                    Some(bytes) => self.metrics.received.add(0, bytes),
                }
            }
        };
        // It ends one way or another: by its client, by the network, or with its time.
        let _ended = timeout(LINGER, reading).await;
    }
}
