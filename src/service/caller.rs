//! Who calls, as far as its connection and its headers show, and whether it may.

use tokio::time::Instant;

use super::Arrival;
use crate::config::{Allow, Tokens};
use crate::error::Code;
use crate::thrift::WireFormat;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The names in its certificate, which was verified.
    pub names: Vec<String>,
    /// Nobody on the way can read the tokens that it shows, or the operator does not mind.
    pub takes_tokens: bool,
    /// It may call the `Tributary` service where it connected.
    pub meta: bool,
}

/// Nobody in particular.
static ANYBODY: Peer = Peer {
    names: Vec::new(),
    takes_tokens: false,
    meta: false,
};

impl Arrival<'static> {
    /// A message that came just now, from nobody in particular, with nothing said beside it.
    pub fn from_anybody(wire_format: WireFormat) -> Self {
        Arrival {
            wire_format,
            header: None,
            peer: &ANYBODY,
            memory: None,
            at: Instant::now(),
        }
    }
}

/// Why a call may not be made by whom it comes from; `None` when it may.
pub(super) fn denial(allow: &Allow, tokens: &Tokens, arrival: &Arrival<'_>) -> Option<Code> {
    let peer = arrival.peer;
    if allow.has_name(&peer.names) {
        return None;
    }
    match (
        bearer(arrival).filter(|_| peer.takes_tokens),
        &peer.names[..],
    ) {
        (Some(token), _) => match tokens.holder(token.as_bytes()) {
            Some(holder) if allow.has_token(holder) => None,
            Some(_) => Some(Code::CallForbidden),
            None => Some(Code::CallUnauthenticated),
        },
        (None, []) => Some(Code::CallUnauthenticated),
        (None, _) => Some(Code::CallForbidden),
    }
}

/// What to tell a caller that is nobody, beyond that.
pub(super) fn hint(code: Code, arrival: &Arrival<'_>) -> Option<String> {
    if code != Code::CallUnauthenticated {
        return None;
    }
    bearer(arrival)?;
    Some(if arrival.peer.takes_tokens {
        "its token is none of those that are known".into()
    } else {
        "its token came over a connection that others may read".into()
    })
}

/// The token in the header `authorization: Bearer TOKEN`.
fn bearer<'a>(arrival: &Arrival<'a>) -> Option<&'a str> {
    let (scheme, token) = arrival.header?.text("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
