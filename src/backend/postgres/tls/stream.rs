//! Makes TLS connections for the PostgreSQL client, and computes the channel binding of passwords.
//!
//! The binding (RFC 5929, `tls-server-end-point`) is a digest of the server's certificate, by the algorithm that the
//! certificate's own signature uses. That algorithm has to be found in the certificate.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use crate::backend::net;
use crate::backend::tls::{Tls, of_handshake};

/// Makes TLS connections to any of a URL's hosts.
#[derive(Clone)]
pub(in crate::backend::postgres) struct Secure {
    tls: Arc<Tls>,
    connector: TlsConnector,
}

impl Secure {
    pub(super) fn new(tls: Arc<Tls>) -> Self {
        // The registered name of PostgreSQL's protocol: a server of another protocol refuses it.
        let connector = TlsConnector::from(tls.client(&[b"postgresql"]));
        Secure { tls, connector }
    }
}

impl MakeTlsConnect<Socket> for Secure {
    type Stream = net::Stream<Socket>;
    type TlsConnect = ToHost;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<ToHost, InvalidDnsNameError> {
        Ok(ToHost {
            name: self.tls.name(host)?,
            connector: self.connector.clone(),
        })
    }
}

/// Makes a TLS connection to one host.
pub(in crate::backend::postgres) struct ToHost {
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl<S> TlsConnect<S> for ToHost
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = net::Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<net::Stream<S>>> + Send>>;

    fn connect(self, socket: S) -> Self::Future {
        let connect = self.connector.connect(self.name, socket);
        Box::pin(async { Ok(connect.await.map_err(of_handshake)?.into()) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for net::Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self
            .session()
            .and_then(|session| session.peer_certificates());
        let certificate = certificates.and_then(<[_]>::first);
        match certificate.and_then(|certificate| end_point(certificate)) {
            Some(digest) => ChannelBinding::tls_server_end_point(digest),
            None => ChannelBinding::none(),
        }
    }
}

/// The digest of a certificate; `None` if the standard defines none for it.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = digest_of(signature_algorithm(certificate)?)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The digest of a signature algorithm, by the bytes of its identifier. For MD5 and SHA-1 RFC 5929 has SHA-256;
/// Ed25519 has no separate digest, and that of RSASSA-PSS is a parameter.
fn digest_of(identifier: &[u8]) -> Option<&'static Algorithm> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    if let Some(rest) = identifier.strip_prefix(RSA) {
        return match rest {
            [4 | 5 | 11] => Some(&SHA256),
            [12] => Some(&SHA384),
            [13] => Some(&SHA512),
            _ => None,
        };
    }
    match identifier.strip_prefix(ECDSA)? {
        [1] | [3, 2] => Some(&SHA256),
        [3, 3] => Some(&SHA384),
        [3, 4] => Some(&SHA512),
        _ => None,
    }
}

/// The identifier in a certificate (RFC 5280, 4.1) that says how it is signed.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (parts, _) = element(SEQUENCE, certificate)?;
    let (_to_be_signed, parts) = element(SEQUENCE, parts)?;
    let (algorithm, _) = element(SEQUENCE, parts)?;
    let (identifier, _) = element(OBJECT_IDENTIFIER, algorithm)?;
    Some(identifier)
}

/// The content of the first element of `der`, and the bytes after it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    if found != tag {
        return None;
    }
    if first < 0x80 {
        return der.split_at_checked(first.into());
    }
    // The long form: the number of bytes that hold the length.
    let (length, der) = der.split_at_checked(usize::from(first & 0x7f))?;
    if length.len() > size_of::<u32>() {
        return None;
    }
    let length = length
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    der.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        // Long enough for lengths of two bytes.
        let name = vec![format!("{}.test", "a".repeat(60)); 6];
        let params = CertificateParams::new(name).expect("names");
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn certificates_are_bound_by_the_digest_they_are_signed_with() {
        let sha256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        let bound = end_point(&sha256).expect("a digest");
        assert_eq!(bound, digest(&SHA256, &sha256).as_ref());
        let sha384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        let bound = end_point(&sha384).expect("a digest");
        assert_eq!(bound, digest(&SHA384, &sha384).as_ref());
        assert_eq!(end_point(&certificate(&rcgen::PKCS_ED25519)), None);
    }

    #[test]
    fn a_truncated_certificate_is_refused() {
        let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        for length in 0..whole.len() {
            assert_eq!(end_point(&whole[..length]), None, "{length}");
        }
        assert_eq!(
            element(0x30, &[0x30, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            None
        );
    }

    #[test]
    fn algorithms_of_rsa() {
        let of = |last| digest_of(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
        for sha256 in [4, 5, 11] {
            assert_eq!(of(sha256), Some(&SHA256));
        }
        assert_eq!(
            (of(12), of(13), of(10)),
            (Some(&SHA384), Some(&SHA512), None)
        );
    }
}
