//! Reads `tls = { .. }` of a listener or of the admin port: the certificate that clients see, and whether they must
//! present one.
//!
//! Its files are read with the configuration, and again at each reload.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::section::Section;
use crate::diagnostic::list;

/// TLS of a listener.
#[derive(Clone)]
pub struct ListenerTls {
    /// The configuration for rustls.
    pub server: Arc<ServerConfig>,
    /// The certificate that clients see.
    pub certificate: CertificateDer<'static>,
    /// The certificate, its chain and its key.
    pub identity: Arc<SingleCertAndKey>,
    /// Clients may or must present a certificate.
    pub knows_clients: bool,
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerTls")
            .field("knows_clients", &self.knows_clients)
            .finish_non_exhaustive()
    }
}

/// Which clients present a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientAuth {
    Off,
    Optional,
    Required,
}

/// Reads the key `tls`. `None` if it is missing or has problems, which are reported.
pub(super) fn read_tls(section: &mut Section<'_>) -> Option<ListenerTls> {
    let mut table = section.section("tls")?;
    for (key, example) in [
        ("certificate", "certificate = \"server.pem\""),
        ("key", "key = \"server.key\""),
    ] {
        if !table.has(key) {
            table.missing(key, example);
        }
    }
    let certificates = table.certificates("certificate");
    let key = table.private_key("key");
    let clients = read_clients(&mut table);
    let versions = read_versions(&mut table);
    let server = certificates.zip(key).and_then(|(certificates, key)| {
        let (verifier, knows_clients) = clients?;
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier);
        let certificate = certificates.der.first()?.clone();
        match CertifiedKey::from_der(certificates.der, key.der.clone_key(), &provider()) {
            Ok(identity) => {
                let identity = Arc::new(SingleCertAndKey::from(identity));
                let shown = Arc::clone(&identity);
                Some(ListenerTls {
                    server: Arc::new(server.with_cert_resolver(shown)),
                    certificate,
                    identity,
                    knows_clients,
                })
            }
            Err(err) => {
                let message = format!("the key does not go with the certificate: {err}");
                table.bad(&key.place, message, None);
                None
            }
        }
    });
    table.finish();
    server
}

/// Whether the key `tls` says that clients must present a certificate; `None` without it. No file is read.
pub(super) fn requires_clients(section: &Section<'_>) -> Option<bool> {
    let mut table = section.clone().section("tls")?;
    let client = table.word("client", &["required", "optional", "off"]);
    let is_required = client.is_none_or(|(word, _)| word == "required");
    Some(table.has("client_ca") && is_required)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The verifier of client certificates, and whether clients can identify themselves with it. `None` if there are problems.
fn read_clients(table: &mut Section<'_>) -> Option<(Arc<dyn ClientCertVerifier>, bool)> {
    let has_ca = table.has("client_ca");
    let ca = table.certificates("client_ca");
    let client = match table.word("client", &["required", "optional", "off"]) {
        Some(("required", _)) => ClientAuth::Required,
        Some(("optional", _)) => ClientAuth::Optional,
        Some((_, place)) => {
            if has_ca {
                let help = "leave out one of `client_ca` and `client = \"off\"`";
                table.bad(
                    &place,
                    "no client is verified with `client_ca`",
                    Some(help.into()),
                );
                return None;
            }
            ClientAuth::Off
        }
        None if has_ca => ClientAuth::Required,
        None => ClientAuth::Off,
    };
    if client == ClientAuth::Off {
        return Some((WebPkiClientVerifier::no_client_auth(), false));
    }
    if !has_ca {
        table.missing("client_ca", "client_ca = \"clients.pem\"");
    }
    let ca = ca?;
    let mut roots = RootCertStore::empty();
    for certificate in &ca.der {
        if let Err(err) = roots.add(certificate.clone()) {
            table.bad(&ca.place, format!("not a usable certificate: {err}"), None);
            return None;
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = match client {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required | ClientAuth::Off => builder,
    };
    match builder.build() {
        Ok(verifier) => Some((verifier, true)),
        Err(err) => {
            table.bad(&ca.place, format!("no client can be verified: {err}"), None);
            None
        }
    }
}

const VERSIONS: [(&str, &SupportedProtocolVersion); 2] =
    [("1.3", &version::TLS13), ("1.2", &version::TLS12)];

/// The versions of TLS; by default 1.3 only.
fn read_versions(table: &mut Section<'_>) -> Vec<&'static SupportedProtocolVersion> {
    let Some((words, place)) = table.strings("versions") else {
        return vec![&version::TLS13];
    };
    let help = || Some(format!("some of {}", list(VERSIONS.map(|(word, _)| word))));
    if words.is_empty() {
        table.bad(&place, "no version of TLS is named", help());
        return vec![&version::TLS13];
    }
    let versions = words.iter().filter_map(|(word, place)| {
        let known = VERSIONS.iter().find(|(known, _)| known == word);
        if known.is_none() {
            table.bad(place, format!("`{word}` is not a version of TLS"), help());
        }
        known.map(|(_, version)| *version)
    });
    let versions: Vec<_> = versions.collect();
    if versions.is_empty() {
        return vec![&version::TLS13];
    }
    versions
}
