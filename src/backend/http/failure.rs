//! Explains why there is no response at all, or too long a one.

use std::error::Error as _;
use std::io;

use hyper_util::client::legacy::Error;

use crate::backend::{LookupError, format::bad_answer};
use crate::error::Code;

/// The reason of an attempt to connect that failed, for a lookup for which none is made.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct KnownDown(pub(super) io::Error);

type Cause = dyn std::error::Error + 'static;

/// The error of a body that is longer than allowed.
pub(super) fn too_long(bytes_max: usize) -> LookupError {
    let detail = format!("the body is longer than `body_bytes_max`, {bytes_max} bytes");
    LookupError::new(Code::LookupTooMany, detail)
}

/// Why there is no response at all.
pub(super) fn no_answer(err: &Error) -> LookupError {
    let cause = words(err.source());
    let from_hyper = find::<hyper::Error>(err);
    if from_hyper.is_some_and(hyper::Error::is_parse) {
        return bad_answer(format!("the response is not HTTP: {cause}")).garbage();
    }
    // Not connected, or the connection was closed before the response: the server is unavailable.
    let unavailable = LookupError::new(Code::LookupUnavailable, format!("{err}: {cause}"));
    if find::<KnownDown>(err).is_some() {
        unavailable.not_tried()
    } else if err.is_connect() {
        unavailable.not_sent()
    } else {
        unavailable
    }
}

/// Whether the request never reached a server that could answer it.
pub(super) fn was_not_looked_at(err: &Error) -> bool {
    if let Some(err) = find::<h2::Error>(err) {
        // There are more streams than the server allows, or it is about to close the connection and lists the streams
        // that it will still answer.
        let refused = err.reason() == Some(h2::Reason::REFUSED_STREAM);
        return err.is_remote() && (refused || err.is_go_away());
    }
    // Another lookup was making the connection for this one as well, and was dropped meanwhile.
    err.is_connect()
        && find::<io::Error>(err).is_none()
        && find::<hyper::Error>(err).is_none()
        && find::<KnownDown>(err).is_none()
}

/// Whether a connection broke, or what came over it was not HTTP.
pub(super) fn is_of_connection(err: &Error) -> bool {
    // A stream may be reset without its connection.
    let ends = |err: &h2::Error| err.is_io() || err.is_go_away();
    !err.is_connect() && find::<h2::Error>(err).is_none_or(ends)
}

/// An error with its causes; the innermost one is the operating system's message.
pub(super) fn words(err: Option<&Cause>) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in std::iter::successors(err, |&cause| cause.source()) {
        let cause = cause.to_string();
        // Some print their own cause.
        if !causes.last().is_some_and(|above| above.contains(&cause)) {
            causes.push(cause);
        }
    }
    causes.join(": ")
}

fn chain(err: &Error) -> impl Iterator<Item = &Cause> {
    std::iter::successors(err.source(), |&cause| cause.source())
}

fn find<E: std::error::Error + 'static>(err: &Error) -> Option<&E> {
    chain(err).find_map(|cause| cause.downcast_ref())
}
