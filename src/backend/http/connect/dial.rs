//! Makes one connection.

use std::error::Error;
use std::future::Future;
use std::io;
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

use super::resolve::{Resolver, allowed};
use super::stream::Stream;
use crate::backend::endpoints::Target;
use crate::backend::http::config::{Config, Secure};
use crate::backend::net::{self, UNACKNOWLEDGED_MAX};
use crate::backend::tls::of_handshake;

/// Why there is no connection.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Makes connections to one server.
pub(super) struct Dialer {
    to: To,
    tls: Option<Secure>,
    /// HTTP/2 is required.
    http2: bool,
    timeout: Duration,
}

/// Where the connections lead.
#[derive(Clone)]
enum To {
    /// To the URL's host.
    Url(HttpConnector<Resolver>),
    /// To one of its endpoints.
    Endpoint(Target),
}

impl Dialer {
    pub(super) fn new(config: &Config, endpoint: Option<&Target>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        // The URL is that of the configuration, which has been checked.
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_nodelay(true);
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        Dialer {
            to: endpoint.map_or(To::Url(tcp), |target| To::Endpoint(target.clone())),
            tls: config.tls.clone(),
            http2: config.http2 == Some(true),
            timeout: config.connect_timeout,
        }
    }

    pub(super) fn connect(
        &mut self,
        url: Uri,
    ) -> impl Future<Output = Result<Stream, Failure>> + use<> {
        let (tls, http2, limit) = (self.tls.clone(), self.http2, self.timeout);
        let mut to = self.to.clone();
        async move {
            let connecting = async {
                let tcp = match &mut to {
                    To::Url(tcp) => tcp.call(url).await?.into_inner(),
                    To::Endpoint(target) => connect(target).await?,
                };
                match tls {
                    None => Ok(net::Stream::Plain(tcp).into()),
                    Some(tls) => secure(tls, tcp, http2).await,
                }
            };
            let too_slow = |_elapsed| {
                let message = "no connection within `connect_timeout`";
                io::Error::new(io::ErrorKind::TimedOut, message)
            };
            timeout(limit, connecting).await.map_err(too_slow)?
        }
    }
}

/// A connection to an endpoint.
async fn connect(target: &Target) -> io::Result<TcpStream> {
    let mut addrs = net::resolve(&target.host, target.port).await?;
    if !target.is_literal {
        addrs = allowed(addrs.into_iter())?;
    }
    net::race(addrs, net::connect_addr).await
}

async fn secure(tls: Secure, tcp: TcpStream, http2: bool) -> Result<Stream, Failure> {
    let connector = TlsConnector::from(tls.client);
    let stream = (connector.connect(tls.name, tcp).await).map_err(of_handshake)?;
    let chosen = stream.get_ref().1.alpn_protocol();
    if http2 && chosen != Some(b"h2") {
        return Err(io::Error::other("the server does not speak HTTP/2").into());
    }
    Ok(net::Stream::from(stream).into())
}
