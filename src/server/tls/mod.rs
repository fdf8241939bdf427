//! TLS on a listener: handshakes, which are limited in number and time, and the encrypted stream.
//!
//! In: an accepted socket and the listener's TLS settings. Out: a stream that can be used like a socket, and the names in the
//! client's certificate. Failed handshakes are logged.

mod metered;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use super::client::Remote;
use super::state::{ListenerSettings, WorkerState};
use crate::config::ListenerTls;
use crate::error::Code;
use crate::handshake::{FIRST_BYTES, refusal};
use crate::metrics::Closed;
pub(super) use metered::Metered;

/// The maximum of encrypted bytes that the client has not taken yet. It has to take that many within `write_timeout`.
const UNSENT_BYTES: usize = 16 * 1024;
/// How long sending the end of the TLS stream may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The TLS settings of a listener. A reload may change them for later connections.
pub(super) struct Tls(RefCell<Arc<ServerConfig>>);

impl Tls {
    pub(super) fn new(tls: &ListenerTls) -> Self {
        Tls(RefCell::new(Arc::clone(&tls.server)))
    }

    pub(super) fn replace(&self, tls: &ListenerTls) {
        self.0.replace(Arc::clone(&tls.server));
    }

    /// Performs the handshake within `handshake_timeout`, which includes waiting for one of the loop's permits. `None`: it
    /// failed, which is logged and counted.
    pub(super) async fn accept(
        &self,
        stream: Metered<TcpStream>,
        remote: Remote,
        settings: &ListenerSettings,
        worker: &WorkerState,
    ) -> Option<Encrypted> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0.borrow()));
        let shaken = timeout(settings.limits.handshake_timeout, async {
            let _permit = worker.handshakes.acquire().await;
            // A handshake that fails does not show the bytes that it refused.
            let mut first = [0; FIRST_BYTES];
            let arrived = stream.get_ref().peek(&mut first).await.unwrap_or(0);
            // The library does not limit its own messages, of which only the certificates are long.
            let bound = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(UNSENT_BYTES));
            let shaken = acceptor.accept_with(stream, bound).await;
            shaken.map_err(|err| refusal(&err, &first[..arrived], "this listener"))
        });
        let (code, detail) = match shaken.await {
            Ok(Ok(stream)) => {
                return Some(Encrypted {
                    stream,
                    accepted: None,
                });
            }
            Ok(Err(refusal)) => refusal,
            Err(_elapsed) => (Code::WireTimeout, "the handshake took too long".to_owned()),
        };
        let whose = (remote, &*settings.listener);
        let detail = Some(&*detail);
        (worker.disconnect_log).report(whose, code, "no TLS handshake", detail);
        worker.metrics.wire_error(code);
        worker.metrics.closed(Closed::Handshake);
        None
    }
}

/// An encrypted stream whose writes are complete once the kernel has their bytes.
///
/// The library encrypts bytes and may keep them until it is flushed. A connection waits for its socket only while it has
/// something to write, so here a write is complete only after the flush. As everywhere, a pending write has to be
/// repeated with the same bytes.
pub(super) struct Encrypted {
    stream: TlsStream<Metered<TcpStream>>,
    /// The bytes of the pending write, once they are encrypted.
    accepted: Option<usize>,
}

impl Encrypted {
    /// The names in the client's verified certificate: URIs and hosts.
    pub(super) fn names(&self) -> Vec<String> {
        let Some(Ok(certificate)) = self.certificate().map(EndEntityCert::try_from) else {
            return Vec::new();
        };
        // A wildcard does not identify a client.
        let hosts = certificate.valid_dns_names();
        let hosts = hosts.filter(|host| !host.starts_with('*'));
        let names = certificate.valid_uri_names().chain(hosts);
        names.map(ToOwned::to_owned).collect()
    }

    fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.stream.get_ref().1.peer_certificates()?.first()
    }

    /// Sends the end of the TLS stream, so that the client can tell it from a broken connection.
    pub(super) async fn send_close(&mut self) {
        let _best_effort = timeout(CLOSE_TIMEOUT, self.stream.shutdown()).await;
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let given = buffer.filled().len() - before;
        let metered = self.stream.get_mut().0;
        match polled {
            Poll::Pending => metered.gave_all(),
            Poll::Ready(_) => metered.gave(given),
        }
        polled
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let accepted = match self.accepted {
            Some(accepted) => accepted,
            None => ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?,
        };
        self.accepted = Some(accepted);
        self.stream.get_mut().0.unsent(accepted.min(UNSENT_BYTES));
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.stream.get_mut().0.unsent(0);
        self.accepted = None;
        Poll::Ready(Ok(accepted))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
