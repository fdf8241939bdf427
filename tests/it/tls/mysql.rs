//! MariaDB with a certificate.

use tributary::backend::mysql::Mysql as Backend;
use tributary::error::Code;
use tributary::value::Value;

use crate::support::{Certificates, Mysql, free_port};

/// The cipher that the server reports for this connection; empty without TLS.
const CIPHER: &str = "sql = \"select variable_value from information_schema.session_status where variable_name = 'Ssl_cipher'\"\nrows = \"value\"";

const USERS: &str = "create or replace user insider@'127.0.0.1' require x509;
grant select on *.* to insider@'127.0.0.1';";

type Store = super::Store<Backend>;

async fn store(certificates: &Certificates, url: &str, keys: &str) -> Store {
    let keys = format!("url = \"mysql://{url}\"\nconnections = 1\n{keys}");
    Store::new(certificates.folder(), &keys, CIPHER).await
}

fn is_secured(cipher: &Value) -> bool {
    cipher.as_str().is_some_and(|cipher| !cipher.is_empty())
}

const CA: &str = "tls = { ca = 'ca.pem' }";

#[tokio::test(flavor = "local")]
async fn a_valid_server_is_asked_over_tls_and_again_after_a_restart() {
    let certificates = Certificates::new();
    let port = free_port();
    let start = |data| Mysql::start_secured(port, data, &certificates, "server.pem");
    let Ok(server) = start(Mysql::data(USERS)) else {
        panic!("the port is still free")
    };
    let at = format!("root@127.0.0.1:{port}");
    let insider = format!("insider@127.0.0.1:{port}");
    let with = |name: &str| {
        format!("tls = {{ ca = 'ca.pem', certificate = '{name}.pem', key = '{name}.key' }}")
    };
    let stores = [
        store(&certificates, &at, CA).await,
        store(&certificates, &format!("{at}?ssl-mode=VERIFY_IDENTITY"), CA).await,
        store(&certificates, &at, "tls = { verify = 'none' }").await,
        store(&certificates, &insider, &with("client")).await,
    ];
    for store in &stores {
        assert!(is_secured(&store.ask().await.expect("an answer")));
    }
    let refused = store(&certificates, &insider, CA).await.ask().await;
    assert_eq!(
        refused.expect_err("no certificate").code,
        Code::LookupUnavailable
    );
    let stranger = store(&certificates, &insider, &with("stranger")).await;
    assert!(stranger.ask().await.is_err());

    let data = server.stop();
    for store in &stores {
        assert!(store.ask().await.is_err());
    }
    let Ok(_server) = start(data) else {
        panic!("the port is still free")
    };
    for store in &stores {
        assert!(is_secured(&store.ask_until_up().await));
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_without_tls_or_with_an_invalid_certificate_is_not_asked() {
    let certificates = Certificates::new();
    let port = free_port();
    let url = format!("root@127.0.0.1:{port}");
    let mut data = Some(Mysql::data(USERS));
    for (name, tries) in [
        (
            "server.pem",
            &[
                ("tls = { ca = 'other-ca.pem' }", "UnknownIssuer"),
                ("tls = {}", "UnknownIssuer"),
                (
                    "tls = { ca = 'ca.pem', server_name = 'db.test' }",
                    "not valid for name",
                ),
            ][..],
        ),
        ("elsewhere.pem", &[(CA, "not valid for name")]),
        ("expired.pem", &[(CA, "expired")]),
        ("", &[(CA, "does not have this capability")]),
    ] {
        let folder = data.take().expect("given back");
        let started = match name {
            "" => Mysql::start_on(port, folder),
            name => Mysql::start_secured(port, folder, &certificates, name),
        };
        let Ok(server) = started else {
            panic!("the port is still free")
        };
        for (keys, word) in tries {
            Store::assert_unavailable(&store(&certificates, &url, keys).await.ask().await, word);
        }
        if name == "elsewhere.pem" {
            let named = "tls = { ca = 'ca.pem', server_name = 'elsewhere.test' }";
            let named = store(&certificates, &url, named).await;
            assert!(is_secured(&named.ask().await.expect("an answer")));
        }
        data = Some(server.stop());
    }
}
