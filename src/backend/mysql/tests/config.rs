//! Keys that are right, and each way for them to be wrong.

use super::*;
use crate::backend::net::{PoolSizes, Secure};

#[test]
fn keys_of_a_backend() {
    let config = testing::config::<Mysql>("url = 'mysql://u:p@h/db'").expect("no problems");
    let minute = Duration::from_mins(1);
    let sizes = |min, max, idle_max| PoolSizes { min, max, idle_max };
    assert_eq!(config.sizes, sizes(5, 8, minute));
    assert_eq!(config.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.statement_timeout, Duration::from_secs(30));
    let all = "url = 'mysql://h/db?socket=/run/s&compression=fast'\nconnections = 32\nconnections_min = 2\nconnection_idle_max = '5s'\n\
               connect_timeout = '2s'\nstatement_timeout = '500ms'";
    let config = testing::config::<Mysql>(all).expect("no problems");
    assert_eq!(config.sizes, sizes(2, 32, Duration::from_secs(5)));
    let few = testing::config::<Mysql>("url = 'mysql://h'\nconnections = 3");
    assert_eq!(few.expect("no problems").sizes, sizes(3, 3, minute));
    assert_eq!(config.statement_timeout, Duration::from_millis(500));
}

#[test]
fn problems_of_a_backend_never_show_the_url() {
    for (url, expected) in [
        (
            "mysql://u:geheim@h/db?require_ssl=true",
            "`require_ssl` in the URL is not known here",
        ),
        (
            "mysql://u:geheim@h/db?ssl-mode=PREFERRED",
            "`ssl-mode=PREFERRED` would fall back to plain text",
        ),
        (
            "mysql://u:geheim@h/db?ssl-mode=VERIFY_CA",
            "use `VERIFY_IDENTITY`",
        ),
        (
            "mysql://u:geheim@h/db?ssl-mode=geheim",
            "`ssl-mode` has no such value",
        ),
        (
            "mysql://u:geheim@h/db?socket=/run/s&ssl-mode=REQUIRED",
            "no TLS over a Unix socket",
        ),
        (
            "mysql://u:geheim@h/db?pool_min=3",
            "`pool_min` in the URL is not known here",
        ),
        (
            "mysql://u:geheim@h/db?compression=lots",
            "`compression` has no such value",
        ),
        (
            "postgres://u:geheim@h/db",
            "it does not begin with `mysql://`",
        ),
        ("mysql://u:geheim@h:port/db", "invalid port number"),
        ("u:geheim", "not the URL of a MySQL server"),
    ] {
        let problems = testing::config_problems::<Mysql>(&format!("url = '{url}'"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{url}: {problems:?}");
        assert!(!problems[0].contains("geheim"), "{problems:?}");
    }
    for (toml, expected) in [
        ("", "`url` is missing"),
        ("url = 'mysql://h'\nconnections = 33", "33 is out of range"),
        (
            "url = 'mysql://h'\nconnections = 2\nconnections_min = 3",
            "3 is out of range",
        ),
        ("url = 'mysql://h'\nstatement_timeout = 5", "expected"),
        (
            "url = 'mysql://h'\nconnection = 5",
            "did you mean `connections`?",
        ),
    ] {
        let problems = testing::config_problems::<Mysql>(toml);
        assert!(problems[0].contains(expected), "{toml}: {problems:?}");
    }
}

#[test]
fn tls_is_spoken_when_it_is_asked_for() {
    for (query, keys, verifies) in [
        ("", "", None),
        ("?ssl-mode=DISABLED", "", None),
        ("?ssl-mode=REQUIRED&compression=fast", "", Some(true)),
        ("?compression=fast&ssl-mode=verify_identity", "", Some(true)),
        ("", "tls = {}", Some(true)),
        (
            "?ssl-mode=REQUIRED",
            "tls = { verify = 'none', server_name = 'db' }",
            Some(false),
        ),
    ] {
        let keys = format!("url = 'mysql://h/db{query}'\n{keys}");
        let config = testing::config::<Mysql>(&keys).expect("no problems");
        let options = config.options(config.statement_timeout);
        let secure = options.secure.as_ref();
        assert_eq!(secure.map(Secure::verifies), verifies, "{keys}");
        assert_eq!(options.compression.is_some(), query.contains("compression"));
    }
    for (query, keys, expected) in [
        (
            "?ssl-mode=DISABLED",
            "tls = {}",
            "nothing is sent without TLS",
        ),
        (
            "?ssl-mode=VERIFY_IDENTITY",
            "tls = { verify = 'none' }",
            "leave out one",
        ),
        ("", "tls = { ca = 'none.pem' }", "can't read"),
    ] {
        let keys = format!("url = 'mysql://h/db{query}'\n{keys}");
        let problems = testing::config_problems::<Mysql>(&keys);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{keys}: {problems:?}");
    }
}

#[test]
fn keys_of_a_lookup() {
    let config = testing::config::<Mysql>("url = 'mysql://h'").expect("no problems");
    let lookup = |keys: &str| testing::lookup::<Mysql>(&config, keys).expect("no problems");
    let plain = lookup("sql = 'select * from t where a = :a or b = :b or c = :a'\nrows = 'one'");
    assert_eq!(plain.params.join(" "), "a b");
    assert_eq!(
        &*plain.lookup.sql,
        "select * from t where a = ? or b = ? or c = ?"
    );
    assert!(!Mysql::batches(&plain.lookup));
    let sql = "sql = \"select '?', /* in (?) */ id from t where id IN ( :id ) and x\"";
    let batch = lookup(&format!("{sql}\nbatch = {{ key = 'id', max = 3 }}"));
    assert!(Mysql::batches(&batch.lookup));
    let keys = batch.lookup.batch.expect("keys");
    let text =
        |places| format!("select '?', /* in (?) */ id from t where id IN ( {places} ) and x");
    assert_eq!(keys.text(1), (&text("?").into(), 1));
    assert_eq!(keys.text(2), (&text("?, ?").into(), 2));
    assert_eq!(keys.text(3), (&text("?, ?, ?, ?").into(), 4));
}

#[test]
fn problems_of_a_lookup() {
    let config = testing::config::<Mysql>("url = 'mysql://h'").expect("no problems");
    let batch = "batch = { key = 'id' }";
    let alone = "only parameter has to be alone in brackets";
    for (keys, expected) in [
        (
            "sql = 'select * from t where id = ?'".to_owned(),
            "parameters are written `:name`",
        ),
        (format!("sql = 'select * from t'\n{batch}"), alone),
        (
            format!("sql = 'select * from t where id = :id'\n{batch}"),
            alone,
        ),
        (
            format!("sql = 'select * from t where id in (:a, :b)'\n{batch}"),
            alone,
        ),
        (
            format!("sql = 'select * from t where id in (:a) or x in (:a)'\n{batch}"),
            alone,
        ),
        (
            format!("sql = 'select * from t where id in (1, :a)'\n{batch}"),
            alone,
        ),
        (
            format!("sql = 'select * from t where margin (:a)'\n{batch}"),
            alone,
        ),
        (
            "sql = 'select 1 where 1 in (:a)'\nbatch = {}".to_owned(),
            "`key` is missing",
        ),
        (
            "sql = 'select 1 where 1 in (:a)'\nbatch = { key = 'a', max = 129 }".to_owned(),
            "out of range",
        ),
        (
            "sql = 'select 1 where 1 in (:a)'\nbatch = { key = 'a', most = 1 }".to_owned(),
            "unknown key",
        ),
    ] {
        let problems = testing::lookup_problems::<Mysql>(&config, &keys);
        assert!(problems[0].contains(expected), "{keys}: {problems:?}");
    }
}
