//! TLS to Redis: a socket that encrypts, verified as the key `tls` says.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::connect_tcp;
use crate::backend::tls::Tls;

/// TLS to all servers of one backend.
#[derive(Clone)]
pub(super) struct Secure {
    tls: Arc<Tls>,
    client: Arc<ClientConfig>,
}

impl Secure {
    pub(super) fn new(tls: Tls) -> Self {
        Secure {
            client: tls.client(&[]),
            tls: Arc::new(tls),
        }
    }

    /// A socket to `host`, whose certificate is as it should be.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let name = self.tls.name(host).map_err(io::Error::other)?;
        let stream = connect_tcp(host, port).await?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        connector.connect(name, stream).await
    }
}
