//! A client's bytes on their way in: buffers them and cuts messages out.

use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::disconnect::Disconnect;
use crate::error::Code;
use crate::service::{Arrival, Closing, ConnectionMemory, Overload, Peer, Service};
use crate::thrift::{Framer, Transport, WireError, WireFormat};

/// How much is read at a time. Little at first, since most calls are short and many connections wait for one; more once
/// a message has turned out to be longer.
pub(super) const READ_BYTES_FIRST: usize = 4 * 1024;
const READ_BYTES: usize = 16 * 1024;
/// A smaller read is not worth it.
const READ_BYTES_LEAST: usize = 1024;

pub(super) struct Inbound {
    peer: Peer,
    framer: Framer,
    buffer: BytesMut,
    /// The buffer has more capacity than a connection begins with.
    grown: bool,
    memory: Rc<ConnectionMemory>,
    closing: Rc<Closing>,
    overload: Rc<Overload>,
    /// When the last bytes of the buffer were read, if that was just now.
    heard_at: Option<Instant>,
}

impl Inbound {
    pub(super) fn new(
        peer: Peer,
        framer: Framer,
        (memory, closing, overload): (&Rc<ConnectionMemory>, Rc<Closing>, &Rc<Overload>),
    ) -> Self {
        Inbound {
            peer,
            framer,
            buffer: BytesMut::new(),
            grown: false,
            memory: Rc::clone(memory),
            closing,
            overload: Rc::clone(overload),
            heard_at: None,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// A part of a message is buffered.
    pub(super) fn has_rest(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reserves space for the next read. Space that earlier messages left in the buffer is used first, unless that would
    /// make reads small. The declared length of a message does not count, only what has arrived. `of_many`: many messages are
    /// expected.
    pub(super) fn make_room(&mut self, of_many: bool) {
        let len = self.buffer.len();
        let of_many = of_many && !self.memory.pool().under_pressure();
        let room = match len {
            _ if of_many => READ_BYTES,
            0 if self.buffer.capacity() >= READ_BYTES_LEAST => return,
            0 => READ_BYTES_FIRST,
            _ if len < READ_BYTES_FIRST => (READ_BYTES_FIRST - len).max(READ_BYTES_LEAST),
            _ if self.memory.pool().under_pressure() => READ_BYTES_FIRST,
            _ => READ_BYTES,
        };
        self.grown |= of_many || len >= READ_BYTES_FIRST;
        self.buffer.reserve(room);
    }

    /// Reads some bytes; within slices if the message is already long. `None`: there is no memory left for more.
    pub(super) async fn read<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
    ) -> io::Result<Option<usize>> {
        if self.buffer.len() < READ_BYTES_FIRST {
            return reader.read_buf(&mut self.buffer).await.map(Some);
        }
        let coop = self.memory.pool().coop();
        let read = coop.in_slices(|| self.memory.may_read(), reader.read_buf(&mut self.buffer));
        read.await.transpose()
    }

    /// The last read took all that there was room for: the client may have sent more.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() == self.buffer.capacity()
    }

    /// Says whether the last bytes were read just now, and when.
    pub(super) fn set_heard_at(&mut self, at: Option<Instant>) {
        self.heard_at = at;
    }

    /// Cuts the next message out; `None` if no whole message is buffered.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, WireError>> {
        self.framer.next(&mut self.buffer).transpose()
    }

    /// The transport and protocol of the client, once they are known.
    pub(super) fn wire_format(&self) -> Option<WireFormat> {
        self.framer.wire_format()
    }

    /// What is known about the message that was cut out last. `unanswered` calls came before it.
    pub(super) fn arrival(&self, wire_format: WireFormat, unanswered: usize) -> Arrival<'_> {
        Arrival {
            wire_format,
            header: self.framer.header(),
            peer: &self.peer,
            memory: Some(&self.memory),
            closing: Some(&self.closing),
            overload: Some(&self.overload),
            watched: None,
            unanswered,
            at: self.heard_at.unwrap_or_else(Instant::now),
        }
    }

    /// The reply to a message of which no more is read: the one at the front of the buffer, or that of the frame whose
    /// header was read last. `None` if it is not known where a reply would go.
    pub(super) fn refuse_start(&self, service: &Service, err: &WireError) -> Option<BytesMut> {
        let start = self.framer.start(&self.buffer).unwrap_or_default();
        let arrival = Arrival {
            wire_format: self.framer.wire_format()?,
            header: self.framer.header(),
            peer: &self.peer,
            memory: None,
            closing: Some(&self.closing),
            overload: None,
            watched: None,
            unanswered: 0,
            at: Instant::now(),
        };
        service.refuse_start(arrival, start, err)
    }

    /// The reply to a message for whose rest there is no memory.
    pub(super) fn refuse_rest(&mut self, service: &Service) -> Result<BytesMut, Disconnect> {
        let detail = "clients' bytes fill all of `buffered_bytes_max`";
        let err = WireError::new(Code::ServerOverloaded, detail);
        let transport = self
            .framer
            .wire_format()
            .map(|wire_format| wire_format.transport);
        // In a frame with a header, the reply needs the frame's sequence id.
        let begun = transport != Some(Transport::Header)
            || (self.framer.begin(&self.buffer)).map_err(Disconnect::Wire)?;
        let reply = begun.then(|| self.refuse_start(service, &err)).flatten();
        reply.ok_or(Disconnect::Overloaded)
    }

    /// Long messages leave a long buffer behind, which most connections never fill again. A connection that kept it would
    /// count as one that takes up much memory.
    pub(super) fn shrink(&mut self) {
        if self.grown && self.buffer.len() < READ_BYTES_FIRST {
            self.buffer = BytesMut::from(&self.buffer[..]);
            self.grown = false;
        }
    }

    /// Drops what is buffered, and makes a buffer for bytes that are read and discarded.
    pub(super) fn discard(&mut self) -> &mut BytesMut {
        self.buffer = BytesMut::with_capacity(READ_BYTES_FIRST);
        &mut self.buffer
    }
}
