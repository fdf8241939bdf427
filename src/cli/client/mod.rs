//! One connection to a server: sends a call and waits for its reply, one at a time.
//!
//! In: a method of an IDL and its parameters as a value. Out: what it returned or threw, as a value, or why there is no
//! reply. Sequence ids and names are compared with the call's. A connection on which a reply may be outstanding (after a
//! timeout or a dropped call) is never used again. Retrying is the caller's job.

mod probe;

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::dial::{Dialer, Stream};
use crate::error::Code;
use crate::idl::{Method, Schema, StructId};
use crate::thrift::{
    ClientCall, Foreign, Framer, Limits, ReplyContent, ReplyError, WireError, WireFormat,
    application_kind,
};
use crate::value::Value;

pub(super) use probe::foreign;

/// The buffer space of each read.
const READ_BYTES: usize = 16 * 1024;

/// A call to make.
#[derive(Clone, Copy, Debug)]
pub struct MethodCall<'a> {
    /// What the method's types refer to.
    pub schema: &'a Schema,
    /// The method.
    pub method: &'a Method,
    /// The service's name, if several share the port: the method is called as `service:method`.
    pub service: Option<&'a str>,
    /// Its parameters, a record that fits [`Method::params`].
    pub params: &'a Value,
    /// How long to wait for the reply.
    pub timeout: Duration,
}

impl<'a> MethodCall<'a> {
    /// The method's name on the wire.
    fn name(&self) -> Cow<'a, str> {
        match self.service {
            None => Cow::Borrowed(&self.method.name),
            Some(service) => format!("{service}:{}", self.method.name).into(),
        }
    }
}

/// A server's reply to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum MethodReply {
    /// The method's result; null for `void`.
    Returned(Value),
    /// An exception that the method declares.
    Threw {
        /// Its type.
        of: StructId,
        /// Its fields.
        value: Value,
    },
    /// Nothing: the method is oneway and was sent.
    Sent,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made.
    #[error("can't connect to `{addr}`: {source}")]
    Connect {
        /// The address as given.
        addr: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server closed the connection before it replied.
    #[error("the server closed the connection without a reply")]
    Closed,
    /// The server speaks TLS, the client does not.
    #[error("the server speaks TLS on this port")]
    Tls,
    /// The server speaks a protocol other than Thrift.
    #[error("`{addr}` is {what}, not a Thrift server")]
    Foreign {
        /// The address as given.
        addr: String,
        /// What it seems to be.
        what: &'static str,
    },
    /// The reply took too long.
    #[error("no reply within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The reply is not Thrift, or not a result of this method.
    #[error("the reply can't be read: {0}")]
    Wire(#[from] WireError),
    /// The reply belongs to another call.
    #[error("the reply belongs to another call: {0}")]
    OutOfStep(String),
    /// A `TApplicationException`.
    #[error("{}", application(*.kind, .message))]
    Application {
        /// Its number in the protocol.
        kind: i32,
        /// The server's message.
        message: String,
    },
}

/// A message of this server begins with its code, which says more than the exception's kind does.
fn application(kind: i32, message: &str) -> String {
    match message.split(':').next().and_then(Code::parse) {
        Some(_) => message.to_owned(),
        None => format!(
            "TApplicationException ({}): {message}",
            application_kind(kind)
        ),
    }
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    addr: String,
    stream: Stream,
    /// A server that is silent may be asked what it is.
    may_be_probed: bool,
    framer: Framer,
    wire_format: WireFormat,
    limits: Limits,
    /// Bytes received and not decoded yet.
    received: BytesMut,
    /// The call to send; kept to reuse its buffer.
    sending: BytesMut,
    sequence: i32,
    /// No reply is outstanding.
    settled: bool,
    /// A reply was read.
    answered: bool,
    /// Pairs for the headers of calls, if the transport is `THeader`.
    pairs: Vec<(String, String)>,
}

impl Client {
    /// Connects to `addr`, a host and port, within `within`.
    pub async fn connect(
        addr: &str,
        wire_format: WireFormat,
        limits: Limits,
        within: Duration,
    ) -> Result<Self, ClientError> {
        Client::dial(&Dialer::new(addr, None), wire_format, limits, within).await
    }

    /// Connects, as `dialer` says, within `within`.
    pub(super) async fn dial(
        dialer: &Dialer,
        wire_format: WireFormat,
        limits: Limits,
        within: Duration,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            addr: dialer.addr.clone(),
            source,
        };
        let stream = match timeout(within, dialer.connect()).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_elapsed) => {
                let words = format!(
                    "nothing answers within {}",
                    humantime::format_duration(within)
                );
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, words)));
            }
        };
        Ok(Client {
            addr: dialer.addr.clone(),
            stream,
            may_be_probed: dialer.may_be_probed(),
            framer: Framer::with_wire_format(wire_format, limits),
            wire_format,
            limits,
            received: BytesMut::new(),
            sending: BytesMut::new(),
            sequence: 0,
            settled: true,
            answered: false,
            pairs: Vec::new(),
        })
    }

    /// Adds a pair to the headers of all further calls. Only `THeader` frames have headers.
    pub(super) fn send_header(&mut self, name: &str, value: &str) {
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    /// A header of the last reply.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.framer.header()?.text(name)
    }

    /// Makes a call. After an error other than a `TApplicationException` the connection can't be used again.
    pub async fn call(&mut self, call: &MethodCall<'_>) -> Result<MethodReply, ClientError> {
        if !self.settled {
            return Err(ClientError::Closed);
        }
        self.encode(call)?;
        self.settled = false;
        let message =
            match timeout(call.timeout, self.exchange_with_thrift(call.method.oneway)).await {
                Ok(message) => message?,
                Err(_elapsed) => return Err(ClientError::Timeout(call.timeout)),
            };
        let Some(message) = message else {
            self.settled = true;
            return Ok(MethodReply::Sent);
        };
        self.decode(call, &message)
    }

    fn encode(&mut self, call: &MethodCall<'_>) -> Result<(), ClientError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.sending.clear();
        let name = call.name();
        let outgoing = self.outgoing(call, &name);
        let pairs = self.pairs.iter();
        let pairs: Vec<(&str, &[u8])> = pairs
            .map(|(name, value)| (&**name, value.as_bytes()))
            .collect();
        Ok(outgoing.write(&mut self.sending, self.wire_format, call.params, &pairs)?)
    }

    /// Like [`Client::exchange`], but ends early if the server turns out to speak another protocol.
    async fn exchange_with_thrift(&mut self, oneway: bool) -> Result<Option<Bytes>, ClientError> {
        let addr = self.addr.clone();
        let probes = self.may_be_probed && !self.answered;
        let message = tokio::select! {
            biased;
            message = self.exchange(oneway) => message?,
            foreign = foreign(&addr, || true), if probes => return Err(ClientError::foreign(addr, foreign)),
        };
        self.answered = true;
        Ok(message)
    }

    /// Sends the encoded call and receives one message, unless the call is oneway.
    async fn exchange(&mut self, oneway: bool) -> Result<Option<Bytes>, ClientError> {
        self.stream.write_all(&self.sending).await?;
        self.stream.flush().await?;
        if oneway {
            return Ok(None);
        }
        loop {
            if let Some(foreign) = Foreign::of(&self.received).filter(|_| !self.answered) {
                return Err(ClientError::foreign(self.addr.clone(), foreign));
            }
            if let Some(message) = self.framer.next(&mut self.received)? {
                return Ok(Some(message));
            }
            self.received.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }

    fn decode(
        &mut self,
        call: &MethodCall<'_>,
        message: &Bytes,
    ) -> Result<MethodReply, ClientError> {
        let name = call.name();
        let outgoing = self.outgoing(call, &name);
        let said = outgoing.read(self.wire_format.protocol, message, &self.limits);
        self.settled = match &said {
            Ok(_) => true,
            Err(ReplyError::Application { in_step, .. }) => *in_step,
            Err(_) => false,
        };
        match said? {
            ReplyContent::Returned(value) => Ok(MethodReply::Returned(value)),
            ReplyContent::Threw { of, value } => Ok(MethodReply::Threw { of, value }),
            ReplyContent::Missing => Err(ClientError::OutOfStep("it holds no result".into())),
        }
    }

    fn outgoing<'a>(&self, call: &MethodCall<'a>, name: &'a str) -> ClientCall<'a> {
        ClientCall {
            schema: call.schema,
            method: call.method,
            name,
            sequence: self.sequence,
        }
    }
}

impl ClientError {
    /// The server at `addr` is not a Thrift server that this client can call.
    pub(super) fn foreign(addr: String, foreign: Foreign) -> Self {
        match foreign {
            Foreign::Tls => ClientError::Tls,
            other => ClientError::Foreign {
                addr,
                what: other.as_str(),
            },
        }
    }
}

impl From<ReplyError> for ClientError {
    fn from(err: ReplyError) -> Self {
        match err {
            ReplyError::Wire(err) => ClientError::Wire(err),
            ReplyError::OutOfStep(why) => ClientError::OutOfStep(why),
            ReplyError::Application { kind, message, .. } => ClientError::Application {
                kind,
                message: message.as_str().to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
