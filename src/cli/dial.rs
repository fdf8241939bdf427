//! Opens connections to a server: over TCP or a Unix socket, with or without TLS.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

pub(super) use super::tls::UNIX;
use super::tls::{ClientTls, explained};

type Socket = Either<TcpStream, UnixStream>;
/// A connection.
pub(super) type Stream = Either<Socket, Box<TlsStream<Socket>>>;

/// Where a server is, and whether its connections are encrypted.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    /// Host and port, or `unix://PATH`.
    pub(super) addr: String,
    tls: Option<ClientTls>,
    /// It has answered a call.
    is_known: bool,
}

impl Dialer {
    /// A server at this address, with TLS or without.
    pub(super) fn new(addr: &str, tls: Option<ClientTls>) -> Self {
        Dialer {
            addr: addr.to_owned(),
            tls,
            is_known: false,
        }
    }

    /// The same; `is_known`: the server has answered a call, so it is a Thrift server.
    pub(super) fn known(self, is_known: bool) -> Self {
        Dialer { is_known, ..self }
    }

    /// Whether another connection with a line of text could find out what the server is.
    pub(super) fn may_be_probed(&self) -> bool {
        !self.is_known && self.tls.is_none() && !self.addr.starts_with(UNIX)
    }

    /// Connects.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let socket = match self.addr.strip_prefix(UNIX) {
            Some(path) => Either::Right(UnixStream::connect(path).await?),
            None => {
                let stream = TcpStream::connect(&self.addr).await?;
                // A call is written as a whole and waited for: delaying it gains nothing.
                stream.set_nodelay(true)?;
                Either::Left(stream)
            }
        };
        let Some(ClientTls { name, config }) = &self.tls else {
            return Ok(Either::Left(socket));
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name.clone(), socket).await;
        Ok(Either::Right(Box::new(stream.map_err(explained)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_answered_is_not_asked_what_it_is() {
        let plain = Dialer::new("127.0.0.1:9090", None);
        assert!(plain.clone().known(false).may_be_probed());
        assert!(!plain.known(true).may_be_probed());
    }
}
