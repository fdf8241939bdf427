//! PostgreSQL with `ssl = on`.

use tributary::backend::postgres::Postgres as Backend;
use tributary::value::Value;

use crate::support::{Certificates, PgBouncer, Postgres, free_port};

/// Whether the server reports TLS for this connection.
const SECURED: &str =
    "sql = \"select ssl from pg_stat_ssl where pid = pg_backend_pid()\"\nrows = \"value\"";

/// Without TLS only `postgres` may connect; `insider` needs a certificate, `bound` a password.
const RULES: &str = "hostnossl all postgres 127.0.0.1/32 trust
hostssl all insider 127.0.0.1/32 cert
hostssl all bound 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.1/32 trust
";

fn server(certificates: &Certificates, name: &str) -> Postgres {
    let server = Postgres::create();
    server.secure(RULES);
    server.present(certificates, name);
    server.start();
    server
}

type Store = super::Store<Backend>;

async fn store(certificates: &Certificates, url: &str, keys: &str) -> Store {
    let keys = format!("url = \"{url}\"\nconnections = 1\n{keys}");
    Store::new(certificates.folder(), &keys, SECURED).await
}

const CA: &str = "tls = { ca = 'ca.pem' }";

#[tokio::test(flavor = "local")]
async fn a_valid_server_is_asked_over_tls_and_again_after_a_restart() {
    let certificates = Certificates::new();
    let server = server(&certificates, "server.pem");
    let url = server.url();
    let dead = free_port();
    let hosts = format!("127.0.0.1:{dead},127.0.0.1:{}", server.port);
    let several = url.replace(&format!("127.0.0.1:{}", server.port), &hosts);
    let stores = [
        store(&certificates, &url, CA).await,
        store(&certificates, &format!("{several}?sslmode=verify-full"), CA).await,
        store(&certificates, &url, "tls = { verify = 'none' }").await,
        store(&certificates, &format!("{url}?sslmode=prefer"), "").await,
    ];
    for store in &stores {
        assert_eq!(store.ask().await.expect("an answer"), Value::Bool(true));
    }
    server.stop();
    for store in &stores {
        let gone = store.ask().await;
        assert!(gone.is_err(), "{gone:?}");
    }
    server.start();
    for store in &stores {
        assert_eq!(store.ask_until_up().await, Value::Bool(true));
    }
}

#[tokio::test(flavor = "local")]
async fn passwords_are_bound_to_the_certificate_and_clients_present_theirs() {
    let certificates = Certificates::new();
    let server = server(&certificates, "server.pem");
    let roles = "create role bound login password 'hush'; create role insider login";
    crate::postgres::run(&server.url(), roles).await;
    let of = |user: &str| server.url().replace("//postgres", &format!("//{user}"));
    let bound = format!("{}?channel_binding=require", of("bound:hush"));
    let bound = store(&certificates, &bound, CA).await;
    assert_eq!(bound.ask().await.expect("an answer"), Value::Bool(true));

    let with = |name: &str| {
        format!("tls = {{ ca = 'ca.pem', certificate = '{name}.pem', key = '{name}.key' }}")
    };
    let insider = store(&certificates, &of("insider"), &with("client")).await;
    assert_eq!(insider.ask().await.expect("an answer"), Value::Bool(true));
    for keys in [CA.to_owned(), with("stranger")] {
        let refused = store(&certificates, &of("insider"), &keys)
            .await
            .ask()
            .await;
        assert!(refused.is_err(), "{keys}: {refused:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_server_with_an_invalid_certificate_is_not_asked() {
    let certificates = Certificates::new();
    let server = server(&certificates, "server.pem");
    let url = server.url();
    for (keys, word) in [
        ("tls = { ca = 'other-ca.pem' }", "UnknownIssuer"),
        ("tls = {}", "UnknownIssuer"),
        (
            "tls = { ca = 'ca.pem', server_name = 'db.test' }",
            "not valid for name",
        ),
    ] {
        Store::assert_unavailable(&store(&certificates, &url, keys).await.ask().await, word);
    }
    for (name, word) in [
        ("elsewhere.pem", "not valid for name"),
        ("expired.pem", "expired"),
    ] {
        server.stop();
        server.present(&certificates, name);
        server.start();
        Store::assert_unavailable(&store(&certificates, &url, CA).await.ask().await, word);
    }
    let named = "tls = { ca = 'ca.pem', server_name = 'elsewhere.test' }";
    server.stop();
    server.present(&certificates, "elsewhere.pem");
    server.start();
    let named = store(&certificates, &url, named).await;
    assert_eq!(named.ask().await.expect("an answer"), Value::Bool(true));
}

/// The pooler's own connection to the server has no TLS, and the server has none.
#[tokio::test(flavor = "local")]
async fn a_pooler_is_found_out_over_tls() {
    let certificates = Certificates::new();
    let server = Postgres::create();
    server.start();
    let pgbouncer = PgBouncer::start_secured(&server, &certificates);
    let keys = format!("url = \"{}\"\n{CA}", pgbouncer.url());
    let sql = "sql = \"select current_setting('default_transaction_read_only')\"\nrows = \"value\"";
    let store = Store::new(certificates.folder(), &keys, sql).await;
    for _ in 0..5 {
        // Nothing is set in a pooler's session.
        assert_eq!(store.ask().await.expect("an answer"), Value::from("off"));
    }
    let direct = format!("url = \"{}\"", server.url());
    let direct = Store::new(certificates.folder(), &direct, sql).await;
    assert_eq!(direct.ask().await.expect("an answer"), Value::from("on"));
    let plain = format!("url = \"{}\"", pgbouncer.url());
    let plain = Store::new(certificates.folder(), &plain, sql)
        .await
        .ask()
        .await;
    Store::assert_unavailable(&plain, "SSL required");
}

#[tokio::test(flavor = "local")]
async fn a_server_without_tls_is_not_asked_in_plain_text() {
    let certificates = Certificates::new();
    let server = Postgres::shared();
    let require = format!("{}?sslmode=require", server.url());
    for (url, keys) in [(&server.url(), CA), (&require, "")] {
        let answer = store(&certificates, url, keys).await.ask().await;
        Store::assert_unavailable(&answer, "does not support TLS");
    }
    let prefer = format!("{}?sslmode=prefer", server.url());
    let prefer = store(&certificates, &prefer, "").await;
    assert_eq!(
        prefer.ask().await.expect("plain text will do"),
        Value::Bool(false)
    );
}
