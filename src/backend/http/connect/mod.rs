//! Makes a connection to an HTTP server: the name resolved, TCP, and TLS where the URL says so.
//!
//! All of it within `connect_timeout`. A name that resolves to a link-local address, where clouds have the services
//! that hand out credentials, is refused: whoever can change a name shall not thereby read those. An operator who
//! wants such a server writes its address.

mod resolve;
mod stream;

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use self::resolve::Resolver;
pub(super) use self::stream::Stream;
use super::config::{Config, Secure, UNACKNOWLEDGED_MAX};

/// Makes the connections of one backend.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    tls: Option<Secure>,
    /// Nothing else will do.
    http2: bool,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        // It is the URL of the configuration, which has been checked.
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_nodelay(true);
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        Connector {
            tcp,
            tls: config.tls.clone(),
            http2: config.http2 == Some(true),
            timeout: config.connect_timeout,
        }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (tls, http2, limit) = (self.tls.clone(), self.http2, self.timeout);
        let connecting = self.tcp.call(url);
        Box::pin(async move {
            let connecting = async {
                let tcp = connecting.await?.into_inner();
                match tls {
                    None => Ok(Stream::plain(tcp)),
                    Some(tls) => secure(tls, tcp, http2).await,
                }
            };
            let too_slow =
                |_elapsed| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
            timeout(limit, connecting).await.map_err(too_slow)?
        })
    }
}

async fn secure(tls: Secure, tcp: TcpStream, http2: bool) -> Result<Stream, Failure> {
    let stream = TlsConnector::from(tls.client)
        .connect(tls.name, tcp)
        .await?;
    let chosen = stream.get_ref().1.alpn_protocol();
    if http2 && chosen != Some(b"h2") {
        return Err(io::Error::other("the server does not speak HTTP/2").into());
    }
    Ok(Stream::tls(stream))
}
