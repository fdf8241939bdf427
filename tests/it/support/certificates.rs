//! Certificates and keys in a folder, generated for each test.
//!
//! There are two unrelated authorities. The first one signs the server's certificates, valid and invalid, all for one
//! key, and a client's.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// The folder: `ca.pem`, `other-ca.pem`; `server.key` with `server.pem` (127.0.0.1 and `localhost`), `elsewhere.pem`
/// (another name) and `expired.pem`; `client.pem` with `client.key`, for the name `insider`; `stranger.pem` with
/// `stranger.key`, of the other authority.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn new() -> Self {
        let certificates = Certificates(tempfile::tempdir().expect("a temporary folder"));
        let ours = certificates.authority("ca.pem");
        let theirs = certificates.authority("other-ca.pem");
        let here = || {
            params(
                &["127.0.0.1", "localhost"],
                ExtendedKeyUsagePurpose::ServerAuth,
            )
        };
        let key = certificates.key("server.key");
        certificates.issue("server.pem", &here(), (&key, &ours));
        let elsewhere = params(&["elsewhere.test"], ExtendedKeyUsagePurpose::ServerAuth);
        certificates.issue("elsewhere.pem", &elsewhere, (&key, &ours));
        let mut expired = here();
        expired.not_before = date_time_ymd(2019, 1, 1);
        expired.not_after = date_time_ymd(2020, 1, 1);
        certificates.issue("expired.pem", &expired, (&key, &ours));
        let mut insider = params(&[], ExtendedKeyUsagePurpose::ClientAuth);
        insider
            .distinguished_name
            .push(DnType::CommonName, "insider");
        let key = certificates.key("client.key");
        certificates.issue("client.pem", &insider, (&key, &ours));
        let key = certificates.key("stranger.key");
        certificates.issue("stranger.pem", &insider, (&key, &theirs));
        certificates
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// One of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        self.write(name, &certificate.pem());
        Issuer::new(params, key)
    }

    fn key(&self, name: &str) -> KeyPair {
        let key = KeyPair::generate().expect("a key");
        self.write(name, &key.serialize_pem());
        key
    }

    fn issue(
        &self,
        name: &str,
        params: &CertificateParams,
        (key, authority): (&KeyPair, &Issuer<'static, KeyPair>),
    ) {
        let certificate = params.signed_by(key, authority).expect("signed");
        self.write(name, &certificate.pem());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the folder is ours");
    }
}

fn params(names: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages = vec![purpose];
    params
}
