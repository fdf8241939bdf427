//! TLS of a command: its options, what it trusts and presents, and what a handshake that fails means to its user.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

use super::error::CommandError;
use crate::backend::tls::{WantsIdentity, accepting, of_handshake};

/// What the address of a Unix socket begins with.
pub(super) const UNIX: &str = "unix://";

/// How the connections of a command are encrypted.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TlsArgs {
    /// Use TLS, and trust the authorities of the web
    #[arg(long)]
    tls: bool,
    /// Use TLS, and trust the authorities in this PEM file only
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to show to the server, a PEM file; needs TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of `--cert`
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name in the server's certificate [default: the host of its address]; needs TLS
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

/// TLS with one server.
#[derive(Clone, Debug)]
pub(super) struct ClientTls {
    /// The name that the server's certificate must have.
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<ClientConfig>,
}

/// The server of a configuration that a command has.
#[derive(Debug)]
pub(super) struct OwnServer {
    /// The only certificate that it may show. Without one it may show any: nothing secret is sent, and the file may be newer than
    /// what the server has read.
    pub(super) shows: Option<CertificateDer<'static>>,
    /// What is presented to it if it asks, unless an option says otherwise.
    pub(super) identity: Option<Arc<SingleCertAndKey>>,
}

impl TlsArgs {
    /// TLS with the server at `addr`; `None` without it.
    pub(super) fn client(&self, addr: &str) -> Result<Option<ClientTls>, CommandError> {
        if !self.is_asked_for() {
            if self.cert.is_none() && self.server_name.is_none() {
                return Ok(None);
            }
            let message = "`--cert` and `--server-name` are for TLS";
            return Err(CommandError::misuse(message).help("add `--tls`, or `--ca FILE`"));
        }
        let name = server_name(addr, self.server_name.as_deref())?;
        let roots = roots(self.ca.as_deref())?;
        let provider = Arc::new(ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let config = with_identity(client, self.identity()?);
        Ok(Some(ClientTls {
            name,
            config: Arc::new(config),
        }))
    }

    /// TLS with a server at `addr`, which is `own` if it is known to speak TLS. Options come first.
    pub(super) fn client_of(
        &self,
        addr: &str,
        own: Option<OwnServer>,
    ) -> Result<Option<ClientTls>, CommandError> {
        let Some(own) = own.filter(|_| !self.is_asked_for()) else {
            return self.client(addr);
        };
        // Its names do not matter, nor how it is reached.
        let named = self.server_name.as_deref().or(Some("localhost"));
        let identity = self.identity()?.or(own.identity);
        let config = with_identity(accepting(own.shows), identity);
        Ok(Some(ClientTls {
            name: server_name(addr, named)?,
            config: Arc::new(config),
        }))
    }

    fn is_asked_for(&self) -> bool {
        self.tls || self.ca.is_some()
    }

    /// The certificate of the options, and its key.
    fn identity(&self) -> Result<Option<Arc<SingleCertAndKey>>, CommandError> {
        let Some((certificate, key)) = self.cert.as_deref().zip(self.key.as_deref()) else {
            return Ok(None);
        };
        let private = PrivateKeyDer::from_pem_slice(&read(key)?);
        let private = private.map_err(|err| unusable(key, &err))?;
        let provider = ring::default_provider();
        let identity = CertifiedKey::from_der(certificates(certificate)?, private, &provider);
        let identity = identity.map_err(|err| unusable(key, &err))?;
        Ok(Some(Arc::new(SingleCertAndKey::from(identity))))
    }
}

fn with_identity(client: WantsIdentity, identity: Option<Arc<SingleCertAndKey>>) -> ClientConfig {
    match identity {
        Some(identity) => client.with_client_cert_resolver(identity),
        None => client.with_no_client_auth(),
    }
}

/// Whether a handshake failed because the server does not speak TLS.
pub(super) fn is_plain(err: &io::Error) -> bool {
    let cause = err.get_ref().and_then(|err| err.downcast_ref::<TlsError>());
    matches!(cause, Some(TlsError::InvalidMessage(_)))
}

/// An error of a handshake, or of the first read after it, in the words of a command: a store is a server here, and its keys
/// are options.
pub(super) fn explained(err: io::Error) -> io::Error {
    let cause = err.get_ref().and_then(|err| err.downcast_ref::<TlsError>());
    let other = TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    if cause == Some(&other) {
        let words = "the server does not show the certificate of this configuration (`tls.certificate`): is it another server, or has it not been reloaded?";
        return io::Error::new(err.kind(), words);
    }
    let err = of_handshake(err);
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

fn server_name(addr: &str, named: Option<&str>) -> Result<ServerName<'static>, CommandError> {
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

/// The authorities in a file; without one those of the web.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, CommandError> {
    let Some(path) = ca else {
        return Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        });
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|err| unusable(path, &err))?;
    }
    Ok(roots)
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
    fn a_handshake_that_fails_is_told_in_the_options_of_the_command() {
        let err = |why| {
            let err = TlsError::InvalidCertificate(why);
            io::Error::new(io::ErrorKind::InvalidData, err)
        };
        let said = explained(err(CertificateError::UnknownIssuer));
        assert_eq!(said.kind(), io::ErrorKind::InvalidData);
        let said = said.to_string();
        let wanted = "the server's certificate is not signed by a trusted authority (`--ca`)";
        assert!(said.contains(wanted), "{said}");
        assert!(!said.contains("store") && !said.contains("tls."), "{said}");
        let said = explained(err(CertificateError::ApplicationVerificationFailure)).to_string();
        assert!(said.contains("of this configuration"), "{said}");
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
