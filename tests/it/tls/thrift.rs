//! A service on Apache's Python library that requires client certificates.

use std::process::Command;

use tributary::backend::thrift::Thrift as Backend;
use tributary::value::Value;

use crate::support::{Certificates, Stock, Tributary, free_port, stubs};
use crate::thrift::call;

const STOCK: &str = include_str!("../../clients/stock.thrift");
const CA: &str = "tls = { ca = 'ca.pem' }";

type Store = super::Store<Backend>;

/// The `tls` keys that a client of the service needs, and additional ones.
fn shown(name: &str, more: &str) -> String {
    format!("tls = {{ certificate = '{name}.pem', key = '{name}.key'{more} }}")
}

fn keys(certificates: &Certificates, url: &str, keys: &str) -> String {
    let idl = certificates.path("stock.thrift");
    std::fs::write(idl, STOCK).expect("the folder is ours");
    format!("url = 'thrifts://{url}'\nidl = 'stock.thrift'\nconnections = 1\n{keys}")
}

async fn store(certificates: &Certificates, url: &str, more: &str) -> Store {
    let keys = keys(certificates, url, more);
    Store::new(certificates.folder(), &keys, "call = 'caller'").await
}

#[tokio::test(flavor = "local")]
async fn a_valid_service_is_asked_over_tls_and_again_after_a_restart() {
    let certificates = Certificates::new();
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let start = || Stock::start_secured(port, stubs.path(), &certificates, "server.pem");
    let service = start();
    let by_address = format!("127.0.0.1:{port}");
    let ca = ", ca = 'ca.pem'";
    let stores = [
        store(&certificates, &by_address, &shown("client", ca)).await,
        store(
            &certificates,
            &format!("localhost:{port}"),
            &shown("client", ca),
        )
        .await,
        store(
            &certificates,
            &by_address,
            &shown("client", ", verify = 'none'"),
        )
        .await,
    ];
    let insider = Value::from("insider");
    for store in &stores {
        assert_eq!(store.ask().await.expect("an answer"), insider);
    }
    drop(service);
    for store in &stores {
        Store::assert_unavailable(&store.ask().await, "");
    }
    let _service = start();
    for store in &stores {
        assert_eq!(store.ask_until_up().await, insider);
    }
}

#[tokio::test(flavor = "local")]
async fn a_service_with_an_invalid_certificate_is_not_asked() {
    let certificates = Certificates::new();
    let stubs = stubs("tests/clients/stock.thrift");
    let named = ", ca = 'ca.pem', server_name = 'elsewhere.test'";
    for (name, more, word) in [
        ("server.pem", ", ca = 'other-ca.pem'", "UnknownIssuer"),
        ("server.pem", "", "UnknownIssuer"),
        ("server.pem", named, "not valid for name"),
        ("elsewhere.pem", ", ca = 'ca.pem'", "not valid for name"),
        ("expired.pem", ", ca = 'ca.pem'", "expired"),
    ] {
        let port = free_port();
        let _service = Stock::start_secured(port, stubs.path(), &certificates, name);
        let url = format!("127.0.0.1:{port}");
        let answer = store(&certificates, &url, &shown("client", more)).await;
        Store::assert_unavailable(&answer.ask().await, word);
        if name == "elsewhere.pem" {
            let named = store(&certificates, &url, &shown("client", named)).await;
            assert_eq!(
                named.ask().await.expect("an answer"),
                Value::from("insider")
            );
        }
    }
    let plain = "[server]\nidl = 's.thrift'\n[views.get.lookups]";
    let plain = Tributary::start(plain, &[("s.thrift", "service S { void get() }")]);
    let store = store(&certificates, &plain.addr.to_string(), CA).await;
    Store::assert_unavailable(&store.ask().await, "not speak TLS");
}

/// In TLS 1.3 a client finishes its handshake before the service has checked its certificate.
#[tokio::test(flavor = "local")]
async fn the_services_verdict_on_our_certificate_is_reported() {
    let certificates = Certificates::new();
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _service = Stock::start_secured(port, stubs.path(), &certificates, "server.pem");
    let url = format!("127.0.0.1:{port}");
    let stranger = shown("stranger", ", ca = 'ca.pem'");
    for (more, word) in [(CA, "CertificateRequired"), (&stranger, "UnknownCA")] {
        let store = store(&certificates, &url, more).await;
        for _ in 0..3 {
            Store::assert_unavailable(&store.ask().await, word);
        }
    }
}

#[tokio::test(flavor = "local")]
async fn examining_a_service_reports_mistakes_on_either_side() {
    let certificates = Certificates::new();
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _service = Stock::start_secured(port, stubs.path(), &certificates, "server.pem");
    let insider = shown("client", ", ca = 'ca.pem'");
    let elsewhere = shown("client", ", ca = 'ca.pem', server_name = 'elsewhere.test'");
    for (more, words) in [
        (&*insider, None),
        (
            &elsewhere,
            Some("the store's certificate is for other names than this one (`tls.server_name`)"),
        ),
        (
            &shown("client", ""),
            Some("the store's certificate is not signed by a trusted authority (`tls.ca`)"),
        ),
        (
            CA,
            Some("the store wants a client's certificate, and gets none (`tls.certificate`)"),
        ),
        (
            &shown("stranger", ", ca = 'ca.pem'"),
            Some("the store rejects the client's certificate (`tls.certificate`)"),
        ),
    ] {
        // Long enough for a busy machine; success is reported earlier.
        let more = format!("connect_timeout = '20s'\n{more}");
        let keys = keys(&certificates, &format!("127.0.0.1:{port}"), &more);
        let examined = super::examine::<Backend>(certificates.folder(), &keys).await;
        let details: Vec<_> = examined.failures.iter().map(|err| &err.detail).collect();
        match words {
            None => assert!(details.is_empty(), "{details:?}"),
            Some(words) => assert!(details[0].contains(words), "{words}: {details:?}"),
        }
    }
}

#[test]
fn a_check_says_which_key_to_change() {
    let certificates = Certificates::new();
    let plain = "[server]\nidl = 's.thrift'\n[views.get.lookups]";
    let plain = Tributary::start(plain, &[("s.thrift", "service S { void get() }")]);
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _service = Stock::start_secured(port, stubs.path(), &certificates, "server.pem");
    let idl = "service Front { string caller() }";
    std::fs::write(certificates.path("front.thrift"), idl).expect("the folder is ours");
    for (port, tls, help) in [
        (port, "{ ca = 'other-ca.pem' }", "set `tls.ca` to"),
        (
            port,
            "{ ca = 'ca.pem' }",
            "set `tls.certificate` and `tls.key`",
        ),
        (
            port,
            "{ ca = 'ca.pem', server_name = 'elsewhere.test' }",
            "set `tls.server_name` to",
        ),
        (plain.addr.port(), "{}", "drop the `s`"),
    ] {
        let config = format!(
            "[server]
idl = 'front.thrift'
[backends.stock]
kind = 'thrift'
url = 'thrifts://127.0.0.1:{port}'
idl = 'front.thrift'
connect_timeout = '20s'
tls = {tls}
[lookups.caller]
backend = 'stock'
call = 'caller'
[views.caller.lookups]
caller = {{ into = '.' }}"
        );
        let path = certificates.path("tributary.toml");
        std::fs::write(&path, config).expect("the folder is ours");
        let checked = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["check", "--connect", "-c"])
            .arg(&path)
            .output()
            .expect("the program itself");
        let said = [checked.stdout, checked.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(help), "{help}: {said}");
        assert!(!said.contains("see that it runs"), "{said}");
    }
}

#[test]
fn long_calls_and_replies_arrive_complete() {
    let certificates = Certificates::new();
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _service = Stock::start_secured(port, stubs.path(), &certificates, "server.pem");
    let path = |name: &str| certificates.path(name).display().to_string();
    let config = format!(
        "[server]
idl = 'front.thrift'
unserved = ['find', 'all', 'count', 'touch', 'header', 'caller', 'fail']
[backends.stock]
kind = 'thrift'
url = 'thrifts://localhost:{port}'
idl = 'front.thrift'
pipelined_max = 4
tls = {{ ca = '{}', certificate = '{}', key = '{}' }}
[lookups.cover]
backend = 'stock'
call = 'cover'
[views.cover]
deadline = '30s'
[views.cover.lookups]
cover = {{ into = '.' }}",
        path("ca.pem"),
        path("client.pem"),
        path("client.key"),
    );
    let server = Tributary::start(&config, &[("front.thrift", STOCK)]);
    let title = "x".repeat(100_000);
    let cover = call(&server, &["cover", &format!("title={title}")]);
    assert_eq!(cover, format!("cover of {title}"));
}
