//! TLS on the port: performs the handshake of a connection, and tells what speaks TLS from what does not.
//!
//! In: an accepted socket. Out: a stream, and what is known of the client. Who waits is bounded by whoever calls: a handshake
//! is part of the time that a connection has, and until it is complete its request is not whole. Failures are logged.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tracing::{debug, info};

use super::access::Via;
use crate::config::ListenerTls;
use crate::error::Code;
use crate::handshake::{FIRST_BYTES, refusal};
use crate::log_limit::LogLimit;

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// What a client that is refused may still send.
const LEFT_BYTES_MAX: u64 = 64 * 1024;

/// A connection, encrypted or not.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The TLS settings of the port. A reload may change them for later connections.
#[derive(Debug)]
pub struct Tls(watch::Sender<ListenerTls>);

impl Tls {
    /// These settings.
    pub fn new(tls: &ListenerTls) -> Arc<Self> {
        Arc::new(Tls(watch::Sender::new(tls.clone())))
    }

    /// Later connections get these.
    pub fn replace(&self, tls: &ListenerTls) {
        self.0.send_replace(tls.clone());
    }
}

/// Opens the connections of the port.
#[derive(Debug)]
pub(super) struct Handshakes {
    tls: Option<Arc<Tls>>,
    log: LogLimit,
}

impl Handshakes {
    pub(super) fn new(tls: Option<Arc<Tls>>) -> Self {
        Handshakes {
            tls,
            log: LogLimit::default(),
        }
    }

    /// The stream once the client may ask, and what it has shown. `None`: there is nothing to be read or said.
    pub(super) async fn open(
        &self,
        (stream, peer): (TcpStream, SocketAddr),
    ) -> Option<(Stream, Via)> {
        let mut first = [0; FIRST_BYTES];
        let arrived = stream.peek(&mut first).await.ok()?;
        let first = &first[..arrived];
        let Some(tls) = &self.tls else {
            if first.first() == Some(&HANDSHAKE) {
                let what = "the client speaks TLS, and `admin` has no `tls`";
                self.log(peer, (Code::WireUnrecognized, what));
            }
            return Some((Either::Left(stream), Via::Plain));
        };
        // A request that is not encrypted gets an answer that says so.
        if first.first().is_some_and(u8::is_ascii_uppercase) {
            return Some((Either::Left(stream), Via::PlainToTls));
        }
        let settings = tls.0.borrow().clone();
        let accepting = TlsAcceptor::from(settings.server).accept(stream);
        match Box::pin(accepting.into_fallible()).await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let via = match (settings.knows_clients, shown) {
                    (false, _) => Via::Encrypted,
                    (true, None) => Via::Unknown,
                    (true, Some(_)) => Via::Known,
                };
                Some((Either::Right(Box::new(stream)), via))
            }
            Err((err, stream)) => {
                if first.is_empty() {
                    debug!(%peer, "a client left the admin port without a word");
                } else {
                    let (code, detail) = refusal(&err, first, "the admin port");
                    self.log(peer, (code, &detail));
                    let _gone = part(stream).await;
                }
                None
            }
        }
    }

    fn log(&self, peer: SocketAddr, (code, detail): (Code, &str)) {
        match self.log.allow(code) {
            Some(suppressed) => info!(
                %code, detail, %peer, port = "admin", suppressed,
                "connection closed: no TLS handshake"
            ),
            None => debug!(
                %code, detail, %peer, port = "admin",
                "connection closed: no TLS handshake"
            ),
        }
    }
}

/// Lets a client read why it was refused: closing while there is something unread would discard what it has not read.
async fn part(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = stream.take(LEFT_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}
