//! `kind = "http"`: a lookup is one GET, or one POST with a JSON body, over HTTP/1.1 or HTTP/2, with or without TLS.
//!
//! `get = "/airports/{code}?units={units}"` becomes a GET below the backend's `url`, whose scheme, host, port and
//! base path no parameter can change. Each request has `traceparent`, `tracestate`, `request-id`, and `deadline-budget`,
//! the milliseconds that are left. Redirects are not followed and proxies in the environment are ignored. If a lookup
//! is dropped before its answer was read to the end, its connection is closed, or over HTTP/2 its stream is reset: no
//! answer is ever left for another lookup.

mod answer;
mod pieces; // of a body
mod body; // of a POST
mod charset; // of bodies
mod compression; // of bodies
mod clients; // the connections that are kept
mod config;
mod connect; // resolve, TCP, TLS
mod failure;
mod examine;
mod lookup;
mod target;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, HeaderValue};
use hyper::{Request, Response};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::clients::Clients;
use self::config::Config;
use self::connect::Connector;
use self::lookup::Lookup;
use super::{
    Answer, Ask, Backend, Compiled, Examination, LookupError, OnLoop, Planned, StoreMemory,
};
use crate::config::Section;

/// One loop's connections to an HTTP server.
pub struct Http {
    clients: Box<Clients>,
    /// Makes the connections; ends when dropped.
    _connecting: AbortOnDropHandle<()>,
    body_bytes_max: usize,
    memory: StoreMemory,
}

impl Backend for Http {
    type Config = Config;
    type Lookup = Lookup;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Lookup>> {
        Lookup::read(config, section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Lookup>], on: &OnLoop) -> Self {
        let (connector, connecting) = Connector::start(config, on.seed);
        Http {
            clients: Box::new(Clients::new(config, connector, on.seed)),
            _connecting: connecting,
            body_bytes_max: config.body_bytes_max,
            memory: on.memory.clone(),
        }
    }

    async fn examine(config: &Config, planned: &[Planned<'_, Lookup>]) -> Examination {
        examine::examine(config, planned.len()).await
    }

    async fn lookup(&self, lookup: &Lookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let response = self.response(lookup, &ask).await?;
        let first_answer = Instant::now();
        let body = answer::Room {
            bytes_max: self.body_bytes_max,
            memory: self.memory.read_for(ask.context),
            deadline: ask.deadline,
        };
        Ok(Answer {
            first_answer: Some(first_answer),
            ..answer::read(lookup, response, body).await?
        })
    }
}

impl Http {
    /// Asks, and asks once more if the server says, or it is certain, that the request was not processed.
    async fn response(
        &self,
        lookup: &Lookup,
        ask: &Ask<'_>,
    ) -> Result<Response<Incoming>, LookupError> {
        let mut again = true;
        loop {
            let mut request = Request::new(Full::new(lookup.body(ask.params).await?));
            *request.method_mut() = lookup.method.clone();
            *request.uri_mut() = lookup.uri(ask.params)?;
            *request.headers_mut() = lookup.headers(ask.params)?;
            let headers = request.headers_mut();
            headers
                .entry(ACCEPT_ENCODING)
                .or_insert(compression::ACCEPTED);
            pass_context_on(&mut request, ask);
            match self.clients.current().request(request).await {
                Ok(response) => return Ok(response),
                Err(err) if again && failure::was_not_looked_at(&err) => again = false,
                Err(err) => {
                    return Err(failure::no_answer(&err).at(lookup.authority()));
                }
            }
        }
    }
}

/// Adds the call's context. A value that is not valid in a header is omitted: the client chose it, not the operator.
fn pass_context_on(request: &mut Request<Full<Bytes>>, ask: &Ask<'_>) {
    let headers = request.headers_mut();
    let traceparent = ask.context.traceparent.as_deref();
    let id = Some(&*ask.context.request_id).filter(|id| !id.is_empty());
    let sent = [
        ("traceparent", traceparent),
        ("tracestate", ask.context.tracestate.as_deref()),
        ("request-id", id),
    ];
    for (name, value) in sent {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    }
    let budget = ask
        .deadline
        .saturating_duration_since(Instant::now())
        .as_millis();
    let budget = u64::try_from(budget).unwrap_or(u64::MAX);
    headers.insert("deadline-budget", HeaderValue::from(budget));
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
