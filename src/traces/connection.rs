//! One connection to a collector, which is kept while it works: HTTP/1.1, with or without TLS.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::program::Collector;

/// The rest of a longer answer is not read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The name that the specification recommends.
const AGENT: &str = concat!("OTel-OTLP-Exporter-Tributary/", env!("CARGO_PKG_VERSION"));

/// The connection to a collector.
pub(super) struct Connection {
    collector: Arc<Collector>,
    open: Option<Open>,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends when dropped.
    _driving: AbortOnDropHandle<()>,
}

/// What a collector answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
    pub(super) body: Bytes,
}

impl Connection {
    pub(super) fn new(collector: &Arc<Collector>) -> Self {
        Connection {
            collector: Arc::clone(collector),
            open: None,
        }
    }

    /// Sends `body`. `Err` says why there is no answer; then the connection is not used again.
    pub(super) async fn post(&mut self, body: Bytes) -> Result<Answered, String> {
        let limit = self.collector.timeout;
        // Taken, so that it is closed if this fails or is dropped.
        let open = self.open.take();
        let posted = timeout(limit, self.post_over(open, body)).await;
        let (answered, open) = posted.map_err(|_elapsed| "no answer in time".to_owned())??;
        self.open = Some(open);
        Ok(answered)
    }

    async fn post_over(&self, open: Option<Open>, body: Bytes) -> Result<(Answered, Open), String> {
        if let Some(mut open) = open.filter(|open| !open.sender.is_closed()) {
            match self.request(&mut open, body.clone()).await {
                Ok(answered) => return Ok((answered, open)),
                // The collector closed it meanwhile.
                Err(err) if err.is_closed() || err.is_canceled() || err.is_incomplete_message() => {
                }
                Err(err) => return Err(chain(&err)),
            }
        }
        let mut open = self.connect().await.map_err(|err| chain(&err))?;
        let answered = self.request(&mut open, body).await;
        Ok((answered.map_err(|err| chain(&err))?, open))
    }

    async fn connect(&self) -> io::Result<Open> {
        let url = &self.collector.url;
        let host = url.host().unwrap_or_default();
        // Addresses of version 6 have brackets in URLs.
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let usual = if self.collector.tls.is_some() {
            443
        } else {
            80
        };
        let place = (bare.unwrap_or(host), url.port_u16().unwrap_or(usual));
        let tcp = TcpStream::connect(place).await?;
        tcp.set_nodelay(true)?;
        match &self.collector.tls {
            None => handshake(tcp).await,
            Some((client, name)) => {
                let connector = TlsConnector::from(Arc::clone(client));
                handshake(connector.connect(name.clone(), tcp).await?).await
            }
        }
    }

    async fn request(&self, open: &mut Open, body: Bytes) -> Result<Answered, hyper::Error> {
        let collector = &self.collector;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        let path = collector.url.path_and_query();
        let path = path.map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(collector.headers.clone());
        let authority = collector.url.authority().map_or("", |of| of.as_str());
        if let Ok(host) = HeaderValue::from_str(authority) {
            headers.insert(HOST, host);
        }
        let content = if collector.json {
            "application/json"
        } else {
            "application/x-protobuf"
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        if collector.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        open.sender.ready().await?;
        let response = open.sender.send_request(request).await?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        // Only the status decides; an answer that is cut off closes the connection.
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        Ok(Answered {
            status,
            retry_after,
            body: body.unwrap_or_default(),
        })
    }
}

async fn handshake<S>(stream: S) -> io::Result<Open>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (sender, driven) = made.map_err(io::Error::other)?;
    let driving = tokio::task::spawn_local(async move {
        // Whoever sends learns of its end.
        let _ended = driven.await;
    });
    Ok(Open {
        sender,
        _driving: AbortOnDropHandle::new(driving),
    })
}

/// An error with its causes.
fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
