//! Reads `tls = { .. }` of `[backends.NAME]` for rustls; shared by all kinds of stores.
//!
//! In: PEM files, read once with the configuration. Out: a [`ClientConfig`]. The store's certificate and name are verified unless `verify = "none"` is set.
//! Without `ca` the roots are Mozilla's, compiled in: the same on every machine, and in a container without
//! root certificates. Each kind decides whether TLS is used at all.

mod fault; // why there is no TLS with a store

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tracing::warn;

pub use self::fault::{help, of_handshake, of_stream};
use crate::config::{Certificates, PrivateKey, Section};

/// TLS to one store.
#[derive(Debug)]
pub struct Tls {
    client: ClientConfig,
    verifies: bool,
    server_name: Option<String>,
}

/// There was a problem, which has been reported to the section's document.
#[derive(Clone, Copy, Debug)]
pub struct Reported;

impl Tls {
    /// Takes the key `tls`; `None` if it is missing.
    pub fn read(section: &mut Section<'_>) -> Result<Option<Self>, Reported> {
        if !section.has("tls") {
            // Taken even if it is missing, so that it is suggested for a misspelt key.
            section.take("tls");
            return Ok(None);
        }
        let mut table = section.section("tls").ok_or(Reported)?;
        let before = table.document().problems.len();
        let tls = Self::read_table(&mut table);
        let place = table.place().key.clone();
        table.finish();
        if section.document().problems.len() > before {
            return Err(Reported);
        }
        if let Some(tls) = &tls
            && !tls.verifies
        {
            // Logged here because this runs once per start and reload, however many loops connect.
            warn!(key = %place, "`verify = \"none\"`: anyone may pose as this store");
        }
        tls.map(Some).ok_or(Reported)
    }

    fn read_table(table: &mut Section<'_>) -> Option<Self> {
        let ca = table.certificates("ca");
        let identity = read_identity(table);
        let verify = table.word("verify", &["full", "none"]);
        let server_name = read_server_name(table);
        let verifies = !matches!(verify, Some(("none", _)));
        if let (Some(ca), false) = (&ca, verifies) {
            let help = "leave out one of `ca` and `verify = \"none\"`";
            table.bad(&ca.place, "nothing is verified with it", Some(help.into()));
        }
        let roots = match &ca {
            Some(ca) => read_roots(table, ca)?,
            None => built_in_roots(),
        };
        let client = client(verifies.then_some(roots));
        let client = match &identity {
            None => client.with_no_client_auth(),
            Some((certificates, key)) => {
                let client =
                    client.with_client_auth_cert(certificates.der.clone(), key.der.clone_key());
                match client {
                    Ok(client) => client,
                    Err(err) => {
                        let message = format!("the key does not go with the certificate: {err}");
                        table.bad(&key.place, message, None);
                        return None;
                    }
                }
            }
        };
        Some(Tls {
            client,
            verifies,
            server_name,
        })
    }

    /// Verified with the compiled-in roots: for a URL that asks for TLS, without the key `tls`.
    pub fn verified() -> Self {
        Self::without_table(true)
    }

    /// Not verified: protects against accidental reading only.
    pub fn unverified() -> Self {
        Self::without_table(false)
    }

    fn without_table(verifies: bool) -> Self {
        Tls {
            client: client(verifies.then(built_in_roots)).with_no_client_auth(),
            verifies,
            server_name: None,
        }
    }

    /// The rustls configuration, offering the application protocols `alpn` in order of preference.
    pub fn client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut client = self.client.clone();
        client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(client)
    }

    /// The name that the store's certificate must have if the connection leads to `host`.
    pub fn name(&self, host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        // IPv6 addresses have brackets in URLs.
        let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        ServerName::try_from(bare.unwrap_or(name).to_owned())
    }

    /// Whether the store's certificate is verified: false for `verify = "none"` only.
    pub fn verifies(&self) -> bool {
        self.verifies
    }

    /// The key `server_name`.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

fn read_identity(table: &mut Section<'_>) -> Option<(Certificates, PrivateKey)> {
    let both = [table.has("certificate"), table.has("key")];
    let certificates = table.certificates("certificate");
    let key = table.private_key("key");
    match both {
        [true, false] => table.missing("key", "key = \"client.key\""),
        [false, true] => table.missing("certificate", "certificate = \"client.pem\""),
        _ => {}
    }
    Some((certificates?, key?))
}

fn read_server_name(table: &mut Section<'_>) -> Option<String> {
    let (name, place) = table.string("server_name")?;
    if ServerName::try_from(name.as_str()).is_err() {
        let message = format!("`{name}` is neither a host's name nor an address");
        table.bad(&place, message, None);
    }
    Some(name)
}

fn read_roots(table: &Section<'_>, ca: &Certificates) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in &ca.der {
        if let Err(err) = roots.add(certificate.clone()) {
            table.bad(&ca.place, format!("not a usable certificate: {err}"), None);
            return None;
        }
    }
    Some(roots)
}

fn built_in_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

/// A client whose own certificate is still to be decided.
pub type WantsIdentity = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;
type WantsVerifier = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

/// A client that verifies with `roots`, or not at all.
fn client(roots: Option<RootCertStore>) -> WantsIdentity {
    match roots {
        Some(roots) => versions().1.with_root_certificates(roots),
        None => accepting(None),
    }
}

/// A client that accepts only this certificate, whatever its names and its authority; any certificate if it is `None`.
pub fn accepting(only: Option<CertificateDer<'static>>) -> WantsIdentity {
    let (provider, client) = versions();
    let verifier = Arc::new(Unverified { provider, only });
    client
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

fn versions() -> (Arc<CryptoProvider>, WantsVerifier) {
    let provider = Arc::new(ring::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3");
    (provider, client)
}

/// Accepts every certificate, or a certain one, but still verifies that the other end owns it.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
    only: Option<CertificateDer<'static>>,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.only.as_ref().is_some_and(|only| only != end_entity) {
            let other = CertificateError::ApplicationVerificationFailure;
            return Err(rustls::Error::InvalidCertificate(other));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests;
