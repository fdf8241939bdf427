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

use super::resolve::Resolver;
use super::stream::Stream;
use crate::backend::http::config::{Config, Secure};
use crate::backend::net::{self, UNACKNOWLEDGED_MAX};
use crate::backend::tls::of_handshake;

/// Why there is no connection.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Makes connections to one server.
pub(super) struct Dialer {
    tcp: HttpConnector<Resolver>,
    tls: Option<Secure>,
    /// HTTP/2 is required.
    http2: bool,
    timeout: Duration,
}

impl Dialer {
    pub(super) fn new(config: &Config) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        // The URL is that of the configuration, which has been checked.
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_nodelay(true);
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        Dialer {
            tcp,
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
        let connecting = self.tcp.call(url);
        async move {
            let connecting = async {
                let tcp = connecting.await?.into_inner();
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

async fn secure(tls: Secure, tcp: TcpStream, http2: bool) -> Result<Stream, Failure> {
    let connector = TlsConnector::from(tls.client);
    let stream = (connector.connect(tls.name, tcp).await).map_err(of_handshake)?;
    let chosen = stream.get_ref().1.alpn_protocol();
    if http2 && chosen != Some(b"h2") {
        return Err(io::Error::other("the server does not speak HTTP/2").into());
    }
    Ok(net::Stream::from(stream).into())
}
