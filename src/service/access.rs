//! Checks whether a caller may call a method, and how much, by the names in its certificate or the token in its headers.

use super::arrival::Arrival;
use crate::config::{Allow, Tokens};
use crate::error::Code;
use crate::program::{CallerLimit, CallerLimits, InjectFrom};

/// Why the caller may not make the call; `None` if it may.
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

/// Whether a caller may ask for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayInject {
    Yes,
    /// It may not, and this is known of why.
    No(Option<&'static str>),
}

/// Whether the caller may ask for faults.
pub(super) fn may_inject(from: &InjectFrom, tokens: &Tokens, arrival: &Arrival<'_>) -> MayInject {
    let denied = match from {
        InjectFrom::Everyone => None,
        InjectFrom::Callers(allow) => denial(allow, tokens, arrival),
    };
    denied.map_or(MayInject::Yes, |code| MayInject::No(hint(code, arrival)))
}

/// The limits of the caller, with their index, if it has some.
pub(super) fn limits<'l>(
    limits: &'l CallerLimits,
    tokens: &Tokens,
    arrival: &Arrival<'_>,
) -> Option<(usize, &'l CallerLimit)> {
    let peer = arrival.peer;
    let token = bearer(arrival).filter(|_| peer.takes_tokens && limits.names_tokens());
    let holder = token.and_then(|token| tokens.holder(token.as_bytes()));
    limits.of(&peer.names, holder)
}

/// The message about the token of an unauthenticated caller.
pub(super) fn hint(code: Code, arrival: &Arrival<'_>) -> Option<&'static str> {
    if code != Code::CallUnauthenticated {
        return None;
    }
    bearer(arrival)?;
    Some(if arrival.peer.takes_tokens {
        "its token is not a known token"
    } else {
        "its token came over an unencrypted connection"
    })
}

/// The token in the header `authorization: Bearer TOKEN`.
fn bearer<'a>(arrival: &Arrival<'a>) -> Option<&'a str> {
    let (scheme, token) = arrival.header?.text("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
