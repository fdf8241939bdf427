//! The keys of `tls`, and every way for them to be wrong, with certificates made here.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;

use super::{Reported, Tls};
use crate::backend::testing::problem_line;
use crate::config::{document_at, whole};

/// A folder with a certificate, its key and files that are neither.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["store.test".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").pem();
    write("ca.pem", &certificate);
    write("client.pem", &certificate);
    write("client.key", &key.serialize_pem());
    write(
        "other.key",
        &KeyPair::generate().expect("a key").serialize_pem(),
    );
    write("text.pem", "no PEM at all\n");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    write("encrypted.key", encrypted);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    write("broken.pem", broken);
    write("cut.pem", &certificate[..certificate.len() / 2]);
    folder
}

/// What the file `tributary.toml` of `folder` says, and the problems without the folder's own path.
fn read(folder: &Path, keys: &str) -> (Result<Option<Tls>, Reported>, Vec<String>) {
    let path = folder.join("tributary.toml");
    let document = document_at(&path.to_string_lossy(), keys);
    let mut section = whole(&document);
    let tls = Tls::read(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    let prefix = format!("{}/", folder.display());
    let lines = problems
        .iter()
        .map(|problem| problem_line(problem).replace(&prefix, ""));
    (tls, lines.collect())
}

#[test]
fn keys() {
    let folder = folder();
    let read = |keys: &str| {
        let (tls, problems) = read(folder.path(), keys);
        assert!(problems.is_empty(), "{problems:?}");
        tls.expect("no problems")
    };
    assert!(read("").is_none());
    let plain = read("tls = {}").expect("TLS");
    assert!(plain.verifies());
    let all = "tls = { ca = 'ca.pem', certificate = 'client.pem', key = 'client.key', verify = 'full', server_name = 'db' }";
    let all = read(all).expect("TLS");
    assert!(all.verifies());
    assert_eq!(all.server_name(), Some("db"));
    let db = ServerName::try_from("db").expect("a name");
    assert_eq!(all.name("10.0.0.1").expect("a name"), db);
    assert!(!read("tls = { verify = 'none' }").expect("TLS").verifies());
    let alpn = all.client(&[b"h2", b"http/1.1"]).alpn_protocols.clone();
    assert_eq!(alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[test]
fn names_are_those_of_urls() {
    let tls = Tls::verified();
    assert!(matches!(tls.name("store.test"), Ok(ServerName::DnsName(_))));
    for address in ["127.0.0.1", "::1", "[::1]"] {
        let name = tls.name(address);
        assert!(matches!(name, Ok(ServerName::IpAddress(_))), "{address}");
    }
    assert!(tls.name("not a name").is_err());
}

#[test]
fn problems() {
    let folder = folder();
    let of = |keys: &str| {
        let (tls, problems) = read(folder.path(), &format!("tls = {{ {keys} }}"));
        assert!(tls.is_err(), "{keys}");
        problems.join("\n")
    };
    for (keys, says) in [
        ("ca = 'no.pem'", "config.file tls.ca: can't read `no.pem`"),
        (
            "ca = 'text.pem'",
            "config.bad_value tls.ca: `text.pem` holds no certificate (the file has",
        ),
        (
            "ca = 'client.key'",
            "tls.ca: `client.key` holds no certificate",
        ),
        ("ca = 'cut.pem'", "tls.ca: `cut.pem` is not PEM"),
        ("ca = 'broken.pem'", "tls.ca: not a usable certificate"),
        (
            "certificate = 'client.pem'",
            "config.missing_key tls: `key` is missing (add `key = \"client.key\"`)",
        ),
        ("key = 'client.key'", "tls: `certificate` is missing (add"),
        (
            "certificate = 'client.pem', key = 'client.pem'",
            "tls.key: `client.pem` holds no private key (the file has",
        ),
        (
            "certificate = 'client.pem', key = 'other.key'",
            "tls.key: the key does not go with the certificate",
        ),
        (
            "certificate = 'client.pem', key = 'encrypted.key'",
            "is encrypted (decrypt it",
        ),
        (
            "ca = 'ca.pem', verify = 'none'",
            "tls.ca: nothing is verified with it (leave out",
        ),
        ("verify = false", "tls.verify: expected a string"),
        ("verify = 'off'", "tls.verify: `off` is not known here"),
        (
            "server_name = 'not a name'",
            "tls.server_name: `not a name` is neither",
        ),
        ("cert = 'client.pem'", "config.unknown_key tls.cert"),
    ] {
        let problems = of(keys);
        assert!(problems.contains(says), "{keys}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
    let (tls, problems) = read(folder.path(), "tls = true");
    assert!(
        tls.is_err() && problems[0].contains("expected a table"),
        "{problems:?}"
    );
}
