//! Opens connections to a server: over TCP or a Unix socket, with or without TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::error::CommandError;
use crate::backend::tls::of_handshake;

/// What the address of a Unix socket begins with.
pub(super) const UNIX: &str = "unix://";

type Socket = Either<TcpStream, UnixStream>;
/// A connection.
pub(super) type Stream = Either<Socket, Box<TlsStream<Socket>>>;

/// Where a server is, and whether its connections are encrypted.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    /// Host and port, or `unix://PATH`.
    pub(super) addr: String,
    tls: Option<(TlsName, Arc<ClientConfig>)>,
    /// It has answered a call.
    is_known: bool,
}

/// The name that the server's certificate must have.
type TlsName = ServerName<'static>;

/// The files and names of TLS.
#[derive(Debug, Default)]
pub(super) struct TlsFiles<'a> {
    /// The authorities that are trusted; by default those of the web.
    pub(super) ca: Option<&'a Path>,
    /// What the client shows, and its key.
    pub(super) identity: Option<(&'a Path, &'a Path)>,
    /// The name in the server's certificate; by default the host of the address.
    pub(super) server_name: Option<&'a str>,
}

impl Dialer {
    /// Without TLS.
    pub(super) fn plain(addr: &str) -> Self {
        Dialer {
            addr: addr.to_owned(),
            tls: None,
            is_known: false,
        }
    }

    /// With TLS.
    pub(super) fn secure(addr: &str, files: &TlsFiles<'_>) -> Result<Self, CommandError> {
        let name = server_name(addr, files.server_name)?;
        let config = Arc::new(client_config(files)?);
        Ok(Dialer {
            addr: addr.to_owned(),
            tls: Some((name, config)),
            is_known: false,
        })
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
        let Some((name, config)) = &self.tls else {
            return Ok(Either::Left(socket));
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name.clone(), socket).await;
        let explained = |err| of_server(&of_handshake(err));
        Ok(Either::Right(Box::new(stream.map_err(explained)?)))
    }
}

/// An error of a handshake in the words of a command: a store is a server here, and its keys are options.
fn of_server(err: &io::Error) -> io::Error {
    let words = [
        ("the store", "the server"),
        ("`tls.ca`", "`--ca`"),
        ("`tls.certificate`", "`--cert`"),
        ("`tls.key`", "`--key`"),
        ("`tls.server_name`", "`--server-name`"),
    ];
    let text = words
        .into_iter()
        .fold(err.to_string(), |text, (of_store, of_server)| {
            text.replace(of_store, of_server)
        });
    io::Error::new(err.kind(), text)
}

fn server_name(addr: &str, named: Option<&str>) -> Result<TlsName, CommandError> {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let name = match named {
        Some(name) => name,
        None if addr.starts_with(UNIX) => {
            let message = "with TLS over a Unix socket, no address names the server";
            return Err(CommandError::misuse(message).help("add `--server-name NAME`"));
        }
        None => bare.unwrap_or(host),
    };
    ServerName::try_from(name.to_owned()).map_err(|_invalid| {
        let message = format!("`{name}` is not a name that a certificate could have");
        CommandError::misuse(message).help("add `--server-name NAME`")
    })
}

fn client_config(files: &TlsFiles<'_>) -> Result<ClientConfig, CommandError> {
    let roots = match files.ca {
        None => RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        },
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|err| unusable(path, &err))?;
            }
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let Some((certificate, key)) = files.identity else {
        return Ok(client.with_no_client_auth());
    };
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|err| unusable(key, &err))?;
    let client = client.with_client_auth_cert(certificates(certificate)?, private);
    client.map_err(|err| unusable(key, &err))
}

/// The certificates in a file: at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CommandError> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|err| unusable(path, &err))?;
    if all.is_empty() {
        return Err(unusable(path, &"it holds no certificate"));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|err| unusable(path, &err))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> CommandError {
    CommandError::misuse(format_args!("`{}`: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_answered_is_not_asked_what_it_is() {
        let plain = Dialer::plain("127.0.0.1:9090");
        assert!(plain.clone().known(false).may_be_probed());
        assert!(!plain.known(true).may_be_probed());
    }

    #[test]
    fn a_handshake_that_fails_is_told_in_the_options_of_the_command() {
        let untrusted = rustls::CertificateError::UnknownIssuer;
        let err = rustls::Error::InvalidCertificate(untrusted);
        let err = of_handshake(io::Error::new(io::ErrorKind::InvalidData, err));
        let said = of_server(&err);
        assert_eq!(said.kind(), err.kind());
        let said = said.to_string();
        let wanted = "the server's certificate is not signed by a trusted authority (`--ca`)";
        assert!(said.contains(wanted), "{said}");
        assert!(!said.contains("store") && !said.contains("tls."), "{said}");
    }

    #[test]
    fn the_certificate_names_the_host_unless_a_name_is_given() {
        let name = |addr, named| {
            let name = server_name(addr, named).map(|name| name.to_str().into_owned());
            name.map_err(drop)
        };
        assert_eq!(name("db1.internal:9090", None), Ok("db1.internal".into()));
        assert_eq!(name("[::1]:9090", None), Ok("::1".into()));
        assert_eq!(name("127.0.0.1:9090", Some("a.test")), Ok("a.test".into()));
        assert_eq!(name("unix:///run/s", Some("a.test")), Ok("a.test".into()));
        assert_eq!(name("unix:///run/s", None), Err(()));
        assert_eq!(name("a b:9090", None), Err(()));
    }
}
