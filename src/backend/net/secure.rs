//! Starts TLS over a socket to a store, for kinds that open their sockets themselves.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Stream;
use crate::backend::tls::{Tls, of_handshake};

/// TLS to all servers of one backend.
#[derive(Clone)]
pub(crate) struct Secure {
    tls: Arc<Tls>,
    client: Arc<ClientConfig>,
}

impl Secure {
    /// As configured by the key `tls`.
    pub(crate) fn new(tls: Tls) -> Self {
        Secure {
            client: tls.client(&[]),
            tls: Arc::new(tls),
        }
    }

    /// Whether the server's certificate is verified.
    #[cfg(test)]
    pub(in crate::backend) fn verifies(&self) -> bool {
        self.tls.verifies()
    }

    /// Encrypts `stream`, which leads to `host`. When this returns, the certificate of `host` was verified as configured.
    pub(in crate::backend) async fn over(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<Stream<TcpStream>> {
        let name = self.tls.name(host).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let stream = connector.connect(name, stream).await;
        Ok(stream.map_err(of_handshake)?.into())
    }
}
