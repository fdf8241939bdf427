//! Replies, and what an error among them means to a lookup.

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::memory::NoRoom;
use crate::backend::{Held, LookupError};
use crate::error::Code;
use crate::offload::drop_elsewhere;

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend::redis) enum Reply {
    /// Nil.
    Nil,
    Int(i64),
    Double(f64),
    Bool(bool),
    /// A string, a status, a big number or a verbatim text.
    String(Bytes),
    /// The server's message; its first word is the kind of error.
    Error(String),
    /// An array or a set.
    Array(Vec<Reply>),
    /// A map of RESP3.
    Map(Vec<(Reply, Reply)>),
    /// A large reply, with its memory. A clone is cheap.
    Held(Arc<(Reply, Held)>),
    /// A large reply for which there was no memory; nothing of it was kept.
    Refused,
}

impl Reply {
    /// The reply without its memory, which is added to `all`.
    pub(in crate::backend::redis) fn unheld(self, all: &mut Vec<Held>) -> Reply {
        match self {
            Reply::Held(held) => {
                let (reply, held) = Arc::unwrap_or_clone(held);
                all.push(held);
                reply
            }
            reply => reply,
        }
    }

    /// Drops the reply. If it is large, that is done on another thread.
    pub(in crate::backend::redis) fn discard(self) {
        if let Reply::Held(held) = self {
            drop_elsewhere(held);
        }
    }

    /// The reply with its memory, if it has any.
    pub(in crate::backend::redis) fn holding(self, held: Held) -> Reply {
        if held.is_nothing() {
            return self;
        }
        Reply::Held(Arc::new((self, held)))
    }
}

/// Bytes that are not RESP, or exceed a limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's bytes are not a reply: {0}")]
pub(in crate::backend::redis) struct BadReply(pub(in crate::backend::redis) &'static str);

/// The reply to a single command.
pub(in crate::backend::redis) fn one(replies: Vec<Reply>) -> Result<Reply, LookupError> {
    match replies.into_iter().next() {
        Some(Reply::Error(words)) => Err(refused(&words)),
        Some(Reply::Refused) => Err(NoRoom.into()),
        Some(reply) => Ok(reply.unheld(&mut Vec::new())),
        None => Err(LookupError::new(
            Code::LookupUnavailable,
            "too many replies are pending",
        )),
    }
}

/// The error of a lookup: the server is not ready, or refuses the command.
pub(in crate::backend::redis) fn refused(words: &str) -> LookupError {
    let kind = words.split(' ').next().unwrap_or_default();
    let code = match kind {
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "OOM" => {
            Code::LookupUnavailable
        }
        // Said to a connection that is one too many, which is closed then.
        _ if words.starts_with("ERR max number of clients") => Code::LookupUnavailable,
        _ => Code::LookupRefused,
    };
    LookupError::new(code, words).answered()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_server_have_their_codes() {
        let of = |words: &str| refused(words).code;
        for refused in [
            "WRONGTYPE x",
            "NOAUTH x",
            "NOPERM x",
            "WRONGPASS x",
            "ERR unknown command",
        ] {
            assert_eq!(of(refused), Code::LookupRefused, "{refused}");
        }
        for away in [
            "LOADING x",
            "BUSY x",
            "READONLY x",
            "TRYAGAIN x",
            "MASTERDOWN x",
            "CLUSTERDOWN x",
            "OOM x",
            "ERR max number of clients reached",
        ] {
            assert_eq!(of(away), Code::LookupUnavailable, "{away}");
        }
    }
}
