//! `kind = "http"`: a lookup is one HTTP/1.1 GET.
//!
//! `get = "/airports/{code}?units={units}"` becomes a GET below the backend's `url`, whose scheme, host, port and
//! base path no parameter can change. Sent along: `traceparent`, `request-id`, and `deadline-budget`, the
//! milliseconds that are left. Redirects are not followed and no proxy is taken from the environment. A dropped
//! lookup drops its connection unless the answer was read to its end; no answer is ever left for another lookup.

mod answer;
mod config;
mod lookup;
mod place;

use std::error::Error as _;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use self::config::{CONNECTION_IDLE_MAX, Config, UNACKNOWLEDGED_MAX};
use self::lookup::Get;
use super::format::bad_answer;
use super::{Answer, Ask, Backend, Compiled, LookupError, Planned};
use crate::config::Section;
use crate::error::Code;
use crate::timeline::Source;

/// One loop's connections to an HTTP server.
pub struct Http {
    client: Client<HttpConnector, Empty<Bytes>>,
    body_bytes_max: usize,
}

impl Backend for Http {
    type Config = Config;
    type Lookup = Get;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        Config::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Get>> {
        Get::read(config, section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Get>]) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_timeout));
        connector.set_nodelay(true);
        connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(CONNECTION_IDLE_MAX)
            .pool_max_idle_per_host(config.connections)
            .build(connector);
        Http {
            client,
            body_bytes_max: config.body_bytes_max,
        }
    }

    async fn lookup(&self, get: &Get, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = get.uri(ask.params)?;
        *request.headers_mut() = get.headers(ask.params)?;
        pass_context_on(&mut request, &ask);
        let response = self
            .client
            .request(request)
            .await
            .map_err(|err| no_answer(&err))?;
        let first_answer = Instant::now();
        Ok(Answer {
            value: answer::read(get, response, self.body_bytes_max).await?,
            first_answer: Some(first_answer),
            source: Source::Backend,
        })
    }
}

/// Adds what the call carries. What a header can't carry is left out: the client chose it, not the operator.
fn pass_context_on(request: &mut Request<Empty<Bytes>>, ask: &Ask<'_>) {
    let headers = request.headers_mut();
    let traceparent = ask.context.traceparent.as_deref();
    let id = Some(&*ask.context.request_id).filter(|id| !id.is_empty());
    for (name, value) in [("traceparent", traceparent), ("request-id", id)] {
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

/// Why there is no response at all.
fn no_answer(err: &hyper_util::client::legacy::Error) -> LookupError {
    // The innermost cause is the operating system's word.
    let mut causes = Vec::new();
    let mut next = err.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let cause = causes.join(": ");
    let from_hyper = err
        .source()
        .and_then(|source| source.downcast_ref::<hyper::Error>());
    if from_hyper.is_some_and(hyper::Error::is_parse) {
        return bad_answer(format!("the response is not HTTP: {cause}"));
    }
    // Not connected, or the connection was closed before the response: the server is not there.
    LookupError::new(Code::LookupUnavailable, format!("{err}: {cause}"))
}

#[cfg(test)]
mod tests;
