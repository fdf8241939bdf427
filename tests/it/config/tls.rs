//! Mistakes in the `tls` of a listener. The files are in the folder of the configuration.

use super::after;
use crate::support::Authority;

/// The problems of a listener with this `tls`.
#[track_caller]
fn of_tls(keys: &str) -> String {
    // Use full paths, because each configuration has its own folder.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new();
    authority
        .issue("server.test")
        .write(folder.path(), "server");
    authority.issue("other.test").write(folder.path(), "other");
    let keys = keys.replace('@', &format!("{}/", folder.path().display()));
    let listener = format!("[[server.listeners]]\nlisten = \":::1\"\ntls = {{ {keys} }}\n");
    after("[backends.ops]", &format!("{listener}\n[backends.ops]"))
}

#[test]
fn valid_tls() {
    let pair = "certificate = '@server.pem', key = '@server.key'";
    for more in [
        "",
        ", client_ca = '@other.pem'",
        ", client_ca = '@other.pem', client = 'optional'",
        ", client = 'off', versions = ['1.2']",
    ] {
        assert_eq!(of_tls(&format!("{pair}{more}")), "", "{more}");
    }
}

#[test]
fn mistakes() {
    let pair = "certificate = '@server.pem', key = '@server.key'";
    for (keys, says) in [
        ("certificate = '@server.pem'", "`key` is missing"),
        ("key = '@server.key'", "`certificate` is missing"),
        ("certificate = '@server.pem', key = '@no.key'", "can't read"),
        (
            "certificate = '@server.pem', key = '@other.key'",
            "the key does not go with the certificate",
        ),
        (
            &format!("{pair}, client = 'required'"),
            "`client_ca` is missing",
        ),
        (
            &format!("{pair}, client_ca = '@other.pem', client = 'off'"),
            "no client is verified with `client_ca`",
        ),
        (
            &format!("{pair}, client = 'maybe'"),
            "`maybe` is not known here",
        ),
        (
            &format!("{pair}, client_ca = '@other.key'"),
            "holds no certificate",
        ),
        (
            &format!("{pair}, versions = ['1.1']"),
            "`1.1` is not a version of TLS",
        ),
        (
            &format!("{pair}, versions = []"),
            "no version of TLS is named",
        ),
        (&format!("{pair}, ca = 'x'"), "unknown key"),
    ] {
        let problems = of_tls(keys);
        assert!(problems.contains(says), "{keys}: {problems}");
        assert_eq!(problems.matches("error[").count(), 1, "{problems}");
    }
    let socket = "[[server.listeners]]\nlisten = \"unix:///s\"\ntls = {}\n\n[backends.ops]";
    let problems = after("[backends.ops]", socket);
    assert!(problems.contains("a Unix socket has no TLS"), "{problems}");
}
