//! Describes a message that arrived: its bytes, and what the connection and the frame say about them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use thrift::protocol::TMessageType;
use tokio::time::Instant;

use super::closing::Closing;
use super::memory::ConnectionMemory;
use super::metadata::CallMetadata;
use super::overload::Overload;
use super::watched::Watched;
use crate::random::Random;
use crate::thrift::{Head, Header, WireError, WireFormat, read_head};

/// What is known about a message besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The transport and protocol of the connection.
    pub wire_format: WireFormat,
    /// The header of the message's frame, if its transport has headers.
    pub header: Option<&'a Header>,
    /// The client that sent it.
    pub peer: &'a Peer,
    /// The memory of the connection, from which the call reserves; `None` if nothing is counted.
    pub memory: Option<&'a Rc<ConnectionMemory>>,
    /// Whether the connection is going to end; `None` if that is not known.
    pub closing: Option<&'a Rc<Closing>>,
    /// Whether the loop has too much to do; `None` if no call is refused for that.
    pub overload: Option<&'a Overload>,
    /// How many calls of the connection have no reply yet.
    pub unanswered: usize,
    /// Where what happens in the call is put, if someone watches it. Only calls in `THeader` frames can be watched.
    pub watched: Option<&'a Rc<Watched>>,
    /// When the last byte was read.
    pub at: Instant,
}

/// The client at the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The names in its verified certificate.
    pub names: Vec<String>,
    /// Tokens are accepted: the connection is private, or the operator allows tokens in the clear.
    pub takes_tokens: bool,
    /// The `Tributary` service is served on the listener it connected to.
    pub meta: bool,
    /// The only service that is served on that listener; all of them if `None`.
    pub service: Option<Arc<str>>,
}

/// A client about which nothing is known.
static ANONYMOUS: Peer = Peer {
    names: Vec::new(),
    takes_tokens: false,
    meta: false,
    service: None,
};

impl Arrival<'static> {
    /// A message that arrives now from an anonymous client, in a frame without a header.
    pub fn from_anybody(wire_format: WireFormat) -> Self {
        Arrival {
            wire_format,
            header: None,
            peer: &ANONYMOUS,
            memory: None,
            closing: None,
            overload: None,
            unanswered: 0,
            watched: None,
            at: Instant::now(),
        }
    }
}

impl Arrival<'_> {
    /// The metadata of the call and its reply, if the transport has headers.
    pub(super) fn metadata(&self, ids: &RefCell<Random>) -> Option<Box<CallMetadata>> {
        let header = self.header?;
        let metadata = CallMetadata::of(header, self.closing.cloned(), ids);
        Some(match self.watched {
            Some(watched) => metadata.watched_by(watched),
            None => metadata,
        })
    }
}

/// A message whose head has been read.
pub(super) struct Message<'a> {
    pub(super) arrival: Arrival<'a>,
    pub(super) head: Head,
    /// What follows the head: parameters that are not decoded yet.
    pub(super) body: Bytes,
    /// The length of head and body.
    pub(super) bytes: usize,
    pub(super) metadata: Option<Box<CallMetadata>>,
}

impl<'a> Message<'a> {
    /// Reads the head. `Err`: it is unreadable, so no reply is possible.
    pub(super) fn read(
        arrival: Arrival<'a>,
        message: &Bytes,
        ids: &RefCell<Random>,
    ) -> Result<Self, WireError> {
        let (head, body) = read_head(arrival.wire_format.protocol, message)?;
        Ok(Message {
            metadata: arrival.metadata(ids),
            arrival,
            head,
            body,
            bytes: message.len(),
        })
    }

    /// A message of which nothing is read after its head.
    pub(super) fn unread(
        arrival: Arrival<'a>,
        head: Head,
        metadata: Option<Box<CallMetadata>>,
    ) -> Self {
        Message {
            arrival,
            head,
            body: Bytes::new(),
            bytes: 0,
            metadata,
        }
    }

    /// The client marked it as oneway.
    pub(super) fn is_oneway(&self) -> bool {
        self.head.kind == TMessageType::OneWay
    }

    /// The id of the call in logs.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.metadata.as_deref()?.request_id()
    }
}
