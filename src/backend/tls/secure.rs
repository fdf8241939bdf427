//! TLS over a socket to a store, for kinds that open their sockets themselves.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Tls, of_handshake};

/// TLS to all servers of one backend.
#[derive(Clone)]
pub struct Secure {
    tls: Arc<Tls>,
    client: Arc<ClientConfig>,
}

impl Secure {
    /// As the key `tls` says.
    pub fn new(tls: Tls) -> Self {
        Secure {
            client: tls.client(&[]),
            tls: Arc::new(tls),
        }
    }

    /// Encrypts `stream`, which leads to `host`: its certificate is as it should be when this is done.
    pub async fn over(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = self.tls.name(host).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let connecting = connector.connect(name, stream);
        connecting.await.map_err(of_handshake)
    }
}
