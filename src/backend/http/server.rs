//! Asks one server, over connections of its own.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, HeaderValue};
use hyper::{Request, Response};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::clients::Clients;
use super::config::Config;
use super::connect::{Connector, Down};
use super::lookup::Lookup;
use super::{compression, failure};
use crate::backend::endpoints::{Client, Target};
use crate::backend::{Ask, LookupError};

/// One loop's connections to a server.
pub(super) struct Server {
    clients: Box<Clients>,
    /// Its address, if it is an endpoint.
    endpoint: Option<Target>,
    down: Rc<RefCell<Down>>,
    /// Makes the connections; ends when dropped.
    _connecting: AbortOnDropHandle<()>,
}

impl Server {
    /// The server of the URL, or one of its endpoints.
    pub(super) fn new(config: &Config, endpoint: Option<&Target>, seed: u64) -> Self {
        let down = Rc::new(RefCell::new(Down::new(seed)));
        let (connector, connecting) = Connector::start(config, endpoint, (&down, seed));
        Server {
            clients: Box::new(Clients::new(config, connector, seed)),
            endpoint: endpoint.cloned(),
            down,
            _connecting: connecting,
        }
    }

    /// Asks, and asks once more if the server says, or it is certain, that the request was not processed.
    pub(super) async fn response(
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
                    let why = failure::no_answer(&err);
                    if failure::is_of_connection(&err) {
                        self.broke(&why);
                    }
                    let why = match &self.endpoint {
                        None => why.at(lookup.authority()),
                        Some(endpoint) => why.at(endpoint),
                    };
                    // Without a connection nothing was sent.
                    let may_have_effect = !lookup.is_idempotent && !err.is_connect();
                    return Err(if may_have_effect {
                        why.broken_off()
                    } else {
                        why
                    });
                }
            }
        }
    }

    /// A connection broke before the whole answer was read.
    pub(super) fn broke(&self, why: &LookupError) {
        self.down.borrow_mut().broke(&why.detail);
    }

    /// Makes the client in use too old.
    #[cfg(test)]
    pub(super) fn retire(&self) {
        self.clients.retire();
    }
}

impl Client for Server {
    fn is_down(&self) -> bool {
        self.down.borrow().refuses()
    }

    fn is_unreachable(&self) -> bool {
        self.down.borrow().has_failed()
    }
}

/// Adds the call's context. A value that is not valid in a header is omitted: the client chose it, not the operator.
fn pass_context_on(request: &mut Request<Full<Bytes>>, ask: &Ask<'_>) {
    let headers = request.headers_mut();
    let trace = ask.context.trace_headers(ask.step);
    let trace = trace.iter().map(|(name, value)| (*name, &**value));
    let id = Some(&*ask.context.request_id).filter(|id| !id.is_empty());
    for (name, value) in trace.chain(id.map(|id| ("request-id", id))) {
        if let Ok(value) = HeaderValue::from_str(value) {
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
