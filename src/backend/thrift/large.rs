//! Reads replies, and leaves large ones to another thread.
//!
//! That a large reply belongs to its call is seen at once, by its number and name. If it then does not decode, its
//! connection ends like that of any such reply, a little later.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::call::RemoteMethod;
use crate::backend::{Answer, LookupError};
use crate::offload::LARGE_BYTES;
use crate::thrift::{Limits, Protocol, ReplyError};
use crate::value::Value;

/// A reply to a call.
pub(super) struct Reply<'a> {
    pub(super) call: &'a Arc<RemoteMethod>,
    /// The number of the call.
    pub(super) sequence: i32,
    pub(super) protocol: Protocol,
    pub(super) message: &'a Bytes,
    pub(super) limits: &'a Limits,
}

/// Whether a large reply did not decode.
#[derive(Default)]
pub(super) struct Misread(Arc<Notify>);

impl Misread {
    /// Waits for a reply that did not decode.
    pub(super) async fn happened(&self) {
        self.0.notified().await;
    }

    /// The answer in a large reply to its call, which is decoded later; `None` for any other reply.
    pub(super) fn later(&self, reply: &Reply<'_>) -> Option<Answer> {
        let outgoing = reply.call.outgoing(reply.sequence);
        if reply.message.len() <= LARGE_BYTES
            || outgoing.answered_by(reply.protocol, reply.message).is_err()
        {
            return None;
        }
        let (call, message) = (Arc::clone(reply.call), reply.message.clone());
        let (sequence, protocol, limits) = (reply.sequence, reply.protocol, *reply.limits);
        let misread = Arc::clone(&self.0);
        Some(Answer::undecoded(move || {
            let reply = Reply {
                call: &call,
                sequence,
                protocol,
                message: &message,
                limits: &limits,
            };
            let (value, fits) = reply.read();
            if fits.is_err() {
                misread.notify_one();
            }
            value
        }))
    }
}

impl Reply<'_> {
    /// The value of the lookup, and whether the connection can be used further; if not, why.
    pub(super) fn read(&self) -> (Result<Value, LookupError>, Result<(), String>) {
        let outgoing = self.call.outgoing(self.sequence);
        match outgoing.read(self.protocol, self.message, self.limits) {
            Ok(said) => (self.call.answer(said), Ok(())),
            Err(err) => {
                let in_step = matches!(err, ReplyError::Application { in_step: true, .. });
                let fits = if in_step {
                    Ok(())
                } else {
                    Err(err.to_string())
                };
                (self.call.refusal(&err), fits)
            }
        }
    }
}
