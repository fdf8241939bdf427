//! One connection to a server: sends a call and waits for its reply, one at a time.
//!
//! In: a method of an IDL and its parameters as a value. Out: what it returned or threw, as a value, or why there is no
//! reply. Sequence ids and names are compared with the call's. A connection on which a reply may be outstanding (after a
//! timeout or a dropped call) is never used again. Retrying is the caller's job.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::idl::{Method, Schema, StructId};
use crate::thrift::{
    ClientCall, Foreign, Framer, Limits, ReplyContent, ReplyError, WireError, WireFormat,
    application_kind,
};
use crate::value::Value;

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
    #[error("TApplicationException ({}): {message}", application_kind(*.kind))]
    Application {
        /// Its number in the protocol.
        kind: i32,
        /// The server's message.
        message: String,
    },
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
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
}

impl Client {
    /// Connects to `addr`, a host and port, within `within`.
    pub async fn connect(
        addr: &str,
        wire_format: WireFormat,
        limits: Limits,
        within: Duration,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            addr: addr.to_owned(),
            source,
        };
        let stream = match timeout(within, TcpStream::connect(addr)).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_elapsed) => {
                let words = format!(
                    "nothing answers within {}",
                    humantime::format_duration(within)
                );
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, words)));
            }
        };
        // A call is written as a whole and waited for: delaying it gains nothing.
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Client {
            stream,
            framer: Framer::with_wire_format(wire_format, limits),
            wire_format,
            limits,
            received: BytesMut::new(),
            sending: BytesMut::new(),
            sequence: 0,
            settled: true,
        })
    }

    /// Makes a call. After an error other than a `TApplicationException` the connection can't be used again.
    pub async fn call(&mut self, call: &MethodCall<'_>) -> Result<MethodReply, ClientError> {
        if !self.settled {
            return Err(ClientError::Closed);
        }
        self.encode(call)?;
        self.settled = false;
        let message = match timeout(call.timeout, self.exchange(call.method.oneway)).await {
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
        Ok(outgoing.write(&mut self.sending, self.wire_format, call.params, &[])?)
    }

    /// Sends the encoded call and receives one message, unless the call is oneway.
    async fn exchange(&mut self, oneway: bool) -> Result<Option<Bytes>, ClientError> {
        self.stream.write_all(&self.sending).await?;
        if oneway {
            return Ok(None);
        }
        loop {
            if Foreign::of(&self.received) == Some(Foreign::Tls) {
                return Err(ClientError::Tls);
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
