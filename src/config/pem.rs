//! Reads certificates and private keys from PEM files, whose paths are relative to the configuration file.
//!
//! They are read once, with the configuration. Problems never show the content of a file.

use std::path::PathBuf;

use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::bytes::bytes_of;
use super::section::{Place, Section};
use crate::error::Code;

/// The certificates of a file, at least one.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The certificates, in the order of the file.
    pub der: Vec<CertificateDer<'static>>,
    /// The place of the path in the configuration.
    pub place: Place,
}

/// The private key of a file.
pub struct PrivateKey {
    /// The first key in the file.
    pub der: PrivateKeyDer<'static>,
    /// The place of the path in the configuration.
    pub place: Place,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

impl Section<'_> {
    /// The certificates in the file that `key` names.
    pub fn certificates(&mut self, key: &'static str) -> Option<Certificates> {
        let (path, pem, place) = self.pem_file(key)?;
        let written = path.strip_prefix(self.relative("")).unwrap_or(&path);
        let written = written.display().to_string();
        let read: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(&pem).collect();
        let why = match read {
            Ok(der) if !der.is_empty() => {
                // Of many authorities, one that expires hurts only those who use it.
                if key == "certificate" || der.len() == 1 {
                    let expires = der.iter().filter_map(expires).min();
                    self.document().expires(&written, expires);
                }
                return Some(Certificates { der, place });
            }
            Ok(_none) => format!("`{}` holds no certificate", path.display()),
            Err(err) => format!("`{}` is not PEM: {err}", path.display()),
        };
        let help = "the file has a part that begins with `-----BEGIN CERTIFICATE-----`";
        self.bad(&place, why, Some(help.into()));
        None
    }

    /// The private key in the file that `key` names.
    pub fn private_key(&mut self, key: &'static str) -> Option<PrivateKey> {
        let (path, pem, place) = self.pem_file(key)?;
        let why = match PrivateKeyDer::from_pem_slice(&pem) {
            Ok(der) => return Some(PrivateKey { der, place }),
            Err(Error::NoItemsFound) if is_encrypted(&pem) => {
                let message = format!("the key in `{}` is encrypted", path.display());
                let help = "decrypt it with `openssl pkey -in FILE -out FILE`";
                self.bad(&place, message, Some(help.into()));
                return None;
            }
            Err(Error::NoItemsFound) => format!("`{}` holds no private key", path.display()),
            Err(err) => format!("`{}` is not PEM: {err}", path.display()),
        };
        let help = "the file has a part that begins with `-----BEGIN PRIVATE KEY-----`";
        self.bad(&place, why, Some(help.into()));
        None
    }

    fn pem_file(&mut self, key: &'static str) -> Option<(PathBuf, Vec<u8>, Place)> {
        let (path, place) = self.string(key)?;
        let full = self.relative(&path);
        self.document().reads(&full);
        match bytes_of(&full) {
            Ok(pem) => {
                self.document().note(&pem);
                Some((full, pem, place))
            }
            Err(err) => {
                self.document().problem(
                    &place,
                    Code::ConfigFile,
                    format!("can't read `{}`: {err}", full.display()),
                    Some("the path is relative to this file's folder".into()),
                );
                None
            }
        }
    }
}

/// When a certificate expires, in seconds of Unix time. `None` if it is not a certificate: whoever uses it says so.
fn expires(der: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(der).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after;
    i64::try_from(not_after.to_unix_duration().as_secs()).ok()
}

fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}
