//! TLS in all three ways to reach a server, with certificates made here.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::sentinel::start_sentinel;
use super::*;

/// A folder with an authority's certificate and one that it signed, for servers and clients alike.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: String| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(vec![]).expect("no names");
    authority
        .distinguished_name
        .push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", authority.self_signed(&key).expect("signed").pem());
    let authority = Issuer::new(authority, key);
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), "store.test".to_owned()];
    let certificate = CertificateParams::new(names).expect("names");
    let certificate = certificate.signed_by(&key, &authority).expect("signed");
    write("own.pem", certificate.pem());
    write("own.key", key.serialize_pem());
    folder
}

/// The options with which a server or a sentinel uses TLS at `port` and requires a client certificate.
fn options(folder: &Path, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let port = port.to_string();
    let (ca, own, key) = (file("ca.pem"), file("own.pem"), file("own.key"));
    [
        ("tls-port", port.as_str()),
        ("tls-ca-cert-file", &ca),
        ("tls-cert-file", &own),
        ("tls-key-file", &key),
        ("tls-auth-clients", "yes"),
        ("tls-replication", "yes"),
    ]
    .iter()
    .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
    .collect()
}

/// A server with a separate port for TLS.
fn start(folder: &Path, more: &[&str]) -> (Server, u16) {
    let start = |_| {
        let port = free_port();
        let mut options = options(folder, port);
        for name in options.iter_mut().step_by(2) {
            name.insert_str(0, "--");
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let own = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start_in(own, free_port(), &[&options, more].concat());
        Some((server?, port))
    };
    (0..10)
        .find_map(start)
        .expect("redis-server starts, and knows TLS")
}

/// The key `tls` with these files.
fn tls(folder: &Path, more: &str) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    format!(
        "tls = {{ certificate = '{}', key = '{}'{more} }}",
        file("own.pem"),
        file("own.key")
    )
}

fn ca(folder: &Path) -> String {
    format!(", ca = '{}'", folder.join("ca.pem").display())
}

#[tokio::test(flavor = "local")]
async fn a_server_with_the_expected_certificate() {
    let folder = certificates();
    let folder = folder.path();
    let (server, port) = start(folder, &[]);
    let large = "x".repeat(1 << 20);
    server.run(&["SET", "large", &large]).await;
    server.run(&["SET", "k", "v"]).await;
    let ca = ca(folder);
    let url = format!("url = 'rediss://127.0.0.1:{port}'\n");
    let get = compiled("get = '{key}'").lookup;
    for good in [
        tls(folder, &ca),
        tls(folder, &format!("{ca}, server_name = 'store.test'")),
        tls(folder, ", verify = 'none'"),
    ] {
        let redis = configured(&format!("{url}{good}")).await;
        let keys: Vec<Value> = ["large", "k", "none"]
            .into_iter()
            .cycle()
            .take(30)
            .map(Value::from)
            .collect();
        let answers = ask_all(&redis, &get, &keys).await;
        for answers in answers.chunks(3) {
            assert!(answers[0] == Ok(large.as_str().into()), "all of it");
            assert_eq!(answers[1..], [Ok("v".into()), Ok(Value::Null)]);
        }
    }
    for bad in [
        // Signed by an unknown authority.
        tls(folder, ""),
        tls(folder, &format!("{ca}, server_name = 'other.test'")),
        // The server wants a certificate.
        format!("tls = {{ ca = '{}' }}", folder.join("ca.pem").display()),
        String::new(),
    ] {
        let redis = configured(&format!("{url}{bad}")).await;
        assert_eq!(
            ask(&redis, "get = 'k'", &[]).await,
            Err(Code::LookupUnavailable),
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "local")]
async fn the_nodes_of_a_cluster() {
    let folder = certificates();
    let folder = folder.path();
    let bus = free_port().to_string();
    let cluster = [
        "--cluster-enabled",
        "yes",
        "--tls-cluster",
        "yes",
        "--cluster-port",
        &bus,
    ];
    let (server, port) = start(folder, &cluster);
    server
        .run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])
        .await;
    eventually("it serves all slots", async || {
        server
            .text(&["CLUSTER", "INFO"])
            .await
            .contains("cluster_state:ok")
    })
    .await;
    server.run(&["SET", "k", "v"]).await;
    let tls = tls(folder, &ca(folder));
    let redis = configured(&format!("urls = ['rediss://127.0.0.1:{port}']\n{tls}")).await;
    assert_eq!(ask(&redis, "get = 'k'", &[]).await, Ok("v".into()));
}

#[tokio::test(flavor = "local")]
async fn sentinels_and_their_master() {
    let folder = certificates();
    let folder = folder.path();
    let (server, port) = start(folder, &[]);
    server.run(&["SET", "k", "v"]).await;
    let sentinel_port = free_port();
    let lines: Vec<String> = options(folder, sentinel_port)
        .chunks(2)
        .map(|pair| pair.join(" "))
        .collect();
    let _sentinel = start_sentinel(port, &lines.join("\n"));
    let keys = format!("sentinels = ['rediss://127.0.0.1:{sentinel_port}']\nmaster = 'mine'\n");
    let redis = configured(&format!("{keys}{}", tls(folder, &ca(folder)))).await;
    assert_eq!(ask(&redis, "get = 'k'", &[]).await, Ok("v".into()));
}
