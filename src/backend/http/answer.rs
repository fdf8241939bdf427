//! Turns a response into a value, by its status and its body, whose size is limited.
//!
//! The body is counted as it arrives and as it is decompressed, so a server that never stops sending costs at most
//! `body_bytes_max`.

use std::error::Error;
use std::io;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode, Version};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::failure::{too_long, words};
use super::lookup::Lookup;
use super::pieces::Pieces;
use super::{charset, compression};
use crate::backend::format::{Format, bad_answer};
use crate::backend::memory::Reading;
use crate::backend::{Answer, LookupError};
use crate::error::Code;
use crate::offload::LARGE_BYTES;
use crate::value::{Pointer, Value};

/// How many bytes are collected before other tasks have their turn.
const PIECES_AT_ONCE: usize = 256 * 1024;
/// A longer compressed body is decompressed on another thread: it may become as long as any.
const ENCODED_BYTES_MAX: usize = 1024;

/// The value of a response whose head has arrived.
pub(super) async fn read(
    get: &Lookup,
    response: Response<Incoming>,
    mut room: Room,
) -> Result<Answer, LookupError> {
    let status = response.status();
    if get.empty_on.contains(&status.as_u16()) {
        // hyper reads the rest of a short body by itself and keeps the connection.
        return Ok(Answer::new(Value::Null));
    }
    if !status.is_success() {
        let refused = refused(status);
        let is_pushback = !get.is_idempotent || pushes_back(response.headers());
        return Err(if is_pushback {
            refused.pushed_back()
        } else {
            refused
        });
    }
    let (head, body) = response.into_parts();
    // The streams of HTTP/2 share a window: one that is not read would stop the others.
    let waits = head.version < Version::HTTP_2;
    let pieces = collect(body, &mut room, waits).await?;
    if status == StatusCode::NO_CONTENT {
        return Ok(Answer::new(Value::Null));
    }
    let is_large = pieces.bytes > LARGE_BYTES
        || pieces.bytes > ENCODED_BYTES_MAX && head.headers.contains_key(CONTENT_ENCODING);
    let body = Body {
        pieces,
        headers: head.headers,
        bytes_max: room.bytes_max,
    };
    let held = room.memory.held();
    if is_large {
        let (format, pointer) = (get.format, get.pointer.clone());
        let answer = Answer::undecoded(move || body.decode(format, &pointer));
        return Ok(answer.holding(held));
    }
    body.decode(get.format, &get.pointer).map(Answer::new)
}

/// Where a body may go.
pub(super) struct Room {
    pub(super) bytes_max: usize,
    pub(super) memory: Reading,
    /// How long it waits for memory.
    pub(super) deadline: Instant,
}

/// A body as it came.
struct Body {
    pieces: Pieces,
    headers: HeaderMap,
    bytes_max: usize,
}

impl Body {
    fn decode(self, format: Format, pointer: &Pointer) -> Result<Value, LookupError> {
        let mut body = compression::undo(&self.headers, self.pieces.joined(), self.bytes_max)?;
        if format != Format::Bytes {
            body = charset::to_utf8(&self.headers, body)?;
        }
        if format == Format::Json && *pointer != Pointer::default() {
            let picked = pointer.pick(&body);
            return picked.map_err(|err| bad_answer(format!("the answer is not JSON: {err}")));
        }
        format.decode(body)
    }
}

/// Whether the server does not want to be asked again soon.
fn pushes_back(headers: &HeaderMap) -> bool {
    let says_no = headers.get("x-retry").is_some_and(|said| said == "no");
    says_no || headers.contains_key(RETRY_AFTER)
}

/// The error of a status that is not an answer.
fn refused(status: StatusCode) -> LookupError {
    let (code, detail) = match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::REQUEST_TIMEOUT => (
            Code::LookupUnavailable,
            format!("the server is too busy: {status}"),
        ),
        _ if status.is_server_error() => {
            (Code::LookupFailed, format!("the server failed: {status}"))
        }
        _ if status.is_redirection() => (
            Code::LookupRefused,
            format!("redirects are not followed: {status}"),
        ),
        _ => (Code::LookupRefused, format!("the server refused: {status}")),
    };
    LookupError::new(code, detail).answered()
}

/// The error of a body that does not end: the connection broke, unless the server wrote the wrong thing.
fn no_rest(err: &hyper::Error) -> LookupError {
    let causes =
        std::iter::successors(Some(err as &(dyn Error + 'static)), |&cause| cause.source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    let is_wrong = |err: &io::Error| {
        matches!(
            err.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        )
    };
    if err.is_parse() || io.any(is_wrong) {
        return bad_answer(format!("the body is not HTTP: {}", words(Some(err)))).garbage();
    }
    let why = format!("the body broke off: {}", words(Some(err)));
    LookupError::new(Code::LookupUnavailable, why).broken_off()
}

/// The whole body.
async fn collect(mut body: Incoming, room: &mut Room, waits: bool) -> Result<Pieces, LookupError> {
    let bytes_max = room.bytes_max;
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_long(bytes_max));
    }
    let mut pieces = Pieces::default();
    let mut since_break = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|err| no_rest(&err))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let length = pieces.bytes + piece.len();
        if length > bytes_max {
            return Err(too_long(bytes_max));
        }
        if waits {
            room.memory.wait(length, room.deadline).await?;
        } else {
            room.memory.now(length)?;
        }
        since_break += piece.len();
        pieces.push(piece);
        if since_break > PIECES_AT_ONCE {
            // What has come already would be taken without a break.
            since_break = 0;
            yield_now().await;
        }
    }
    Ok(pieces)
}
