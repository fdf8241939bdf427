//! Makes a call for an operator: `POST /try` with a JSON object, and `GET /try?method=NAME` for what a form of it needs.
//!
//! The parameters are read here, by the types of the IDL, and so is the reply; a loop only makes the call
//! ([`crate::service::Trials`]), within a deadline of its own. A page of another site can't ask: its requests have another
//! `Origin`, and the type of the body makes a browser ask first. Few calls are under way at a time, bodies and replies are
//! short, and every wait ends.

mod found; // the method
mod form;
mod request;
mod reply;
mod lines; // JSON with types, for people

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value as Json, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::access::Permission;
use super::body::Answer;
use super::query;
use super::response::{json as as_json, not_allowed, text};
use crate::program::Program;
use crate::service::{Trial, TrialRequest, TrialSender, Tried};
use found::Found;
use request::Wanted;

pub(super) const PATH: &str = "/try";
/// How much longer than others a connection may take that makes a call.
pub(super) const MORE_TIME: Duration = Duration::from_secs(15);
/// How much longer than the deadline of its call a loop may take to answer.
const LOOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Further calls are refused: the port has to stay free for probes.
pub(super) const CALLS_MAX: usize = 4;

/// The loops, and whether this port may make calls.
#[derive(Debug)]
pub struct Trying {
    /// One per loop.
    loops: Vec<TrialSender>,
    /// Whether the configuration or the address allows it.
    allowed: Permission,
    /// Which loop is next.
    turn: AtomicUsize,
    places: Semaphore,
}

impl Trying {
    /// Makes calls on `loops` in turn.
    pub fn new(loops: Vec<TrialSender>, allowed: Permission) -> Self {
        Trying {
            loops,
            allowed,
            turn: AtomicUsize::new(0),
            places: Semaphore::new(CALLS_MAX),
        }
    }

    /// The loop whose turn it is.
    fn next(&self) -> &TrialSender {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.loops[turn % self.loops.len()]
    }
}

/// Why a request is refused.
type Refused = (StatusCode, String);

fn refuse<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Refused> {
    Err((status, why.into()))
}

/// The answer to one request.
pub(super) async fn answer<B>(
    method: &Method,
    (query, headers): (&str, &HeaderMap),
    body: B,
    trying: &Trying,
) -> Response<Answer>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let forbidden = match trying.allowed {
        Permission::Given => None,
        Permission::Off => Some("this port makes no calls: `admin.try` is false"),
        Permission::OtherAddress => Some(
            "other machines can reach this port: it makes calls only with `admin.try = true` together with `admin.token`, or on a loopback address",
        ),
    };
    let answered = match (forbidden, method) {
        (Some(why), _) => refuse(StatusCode::FORBIDDEN, why),
        (None, &Method::GET | &Method::HEAD) => form_of(query, trying).await,
        (None, &Method::POST) => make(headers, body, trying).await,
        _ => return not_allowed("GET, HEAD, POST"),
    };
    match answered {
        Ok(shown) => as_json(&shown),
        Err((status, why)) => text(status, format!("{why}\n")),
    }
}

/// What a form of a method needs; without a method, the names of all.
async fn form_of(query: &str, trying: &Trying) -> Result<Json, Refused> {
    let bad = |why: String| (StatusCode::BAD_REQUEST, why);
    let pairs = query::pairs(query).map_err(bad)?;
    let program = program(trying.next()).await?;
    match &pairs[..] {
        [] => {
            let names = program.plans().map(|plan| &*plan.label);
            Ok(json!({ "methods": names.collect::<Vec<&str>>() }))
        }
        [("method", name)] => Ok(form::form(&find(&program, name)?)),
        _ => Err(bad("only `method` is known here".into())),
    }
}

/// Makes the call that the body describes.
async fn make<B>(headers: &HeaderMap, body: B, trying: &Trying) -> Result<Json, Refused>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    is_of_own_page(headers)?;
    let Ok(_place) = trying.places.try_acquire() else {
        let why = format!("{CALLS_MAX} calls are under way already: try again");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let body = timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let Ok(Ok(body)) = body else {
        let why = format!("the body is longer than {BODY_BYTES_MAX} bytes, or did not arrive");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, why);
    };
    let wanted = Wanted::read(&body.to_bytes()).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    let to = trying.next();
    let program = program(to).await?;
    let found = find(&program, &wanted.method)?;
    let frame = wanted.frame(&found);
    let frame = frame.map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    let (tried, answer) = oneshot::channel();
    let trial = TrialRequest::Call(Trial { frame, tried });
    let within = wanted.deadline + LOOP_TIMEOUT;
    let tried: Tried = ask(to, trial, (answer, within)).await?;
    Ok(reply::reply(&found, tried))
}

fn find<'p>(program: &'p Program, name: &str) -> Result<Found<'p>, Refused> {
    Found::new(program, name).map_err(|why| (StatusCode::NOT_FOUND, why))
}

/// The program that a loop serves.
async fn program(of: &TrialSender) -> Result<Arc<Program>, Refused> {
    let (to, answer) = oneshot::channel();
    ask(of, TrialRequest::Program(to), (answer, LOOP_TIMEOUT)).await
}

/// What a loop answers.
async fn ask<T>(
    to: &TrialSender,
    request: TrialRequest,
    (answer, within): (oneshot::Receiver<T>, Duration),
) -> Result<T, Refused> {
    let sent = to.try_send(request).is_ok();
    let answered = if sent {
        timeout(within, answer).await.ok().and_then(Result::ok)
    } else {
        None
    };
    let silent = "an event loop did not answer: try again, or see /livez";
    answered.ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, silent.to_owned()))
}

/// Refuses what the page of another site may send. A browser sends an `Origin` with every POST; JSON it sends to another site
/// only if that site allows it, which this port never does.
fn is_of_own_page(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    if kind.is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
        let why = "the body has to be JSON: `content-type: application/json`";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let is_own = |origin: &[u8]| {
        let named = origin.strip_prefix(b"http://");
        let named = named.or_else(|| origin.strip_prefix(b"https://"));
        host.zip(named)
            .is_some_and(|(host, named)| host.eq_ignore_ascii_case(named))
    };
    let mut origins = headers.get_all(ORIGIN).into_iter();
    let mut sites = headers.get_all("sec-fetch-site").into_iter();
    let is_same = |site: &[u8]| matches!(site, b"same-origin" | b"none");
    if origins.all(|origin| is_own(origin.as_bytes())) && sites.all(|of| is_same(of.as_bytes())) {
        return Ok(());
    }
    let why = "not from the page of another site";
    refuse(StatusCode::FORBIDDEN, why)
}

#[cfg(test)]
mod tests;
