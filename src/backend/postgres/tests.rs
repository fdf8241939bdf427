//! Keys, parameters and the order of answers; what needs a server is tested in `tests/it/postgres`.

use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;

use super::*;
use crate::backend::testing::{config, config_problems, lookup, lookup_problems};
use crate::error::Code;
use crate::value::Value;

const URL: &str = "url = \"postgresql://reader:hush@127.0.0.1:5432/app\"\n";

fn good() -> Config {
    config_of(URL)
}

fn config_of(keys: &str) -> Config {
    config::<Postgres>(keys).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn backend_keys() {
    let config = good();
    assert_eq!((config.sizes.min, config.sizes.max), (3, 6));
    let few = config_of(&format!("{URL}connections = 2")).sizes;
    assert_eq!((few.min, few.max), (2, 2));
    let more = "connections = 4\nconnections_min = 1\nconnection_idle_max = \"5s\"";
    let more = config_of(&format!("{URL}{more}")).sizes;
    assert_eq!((more.min, more.max, more.idle_max.as_secs()), (1, 4, 5));
    let all = format!(
        "{}connections = 8\nconnect_timeout = \"2s\"\nstatement_timeout = \"5s\"",
        URL.replace("/app", ",other:5433/app?target_session_attrs=read-write")
    );
    let config = config_of(&all);
    assert_eq!(config.settings.client.get_hosts().len(), 2);
    assert_eq!(config.settings.statement_timeout.as_secs(), 5);
    for (keys, expected) in [
        ("", config::Pooler::Unknown),
        ("pooler = \"none\"", config::Pooler::None),
        ("pooler = \"transaction\"", config::Pooler::Transaction),
    ] {
        let pooler = config_of(&format!("{URL}{keys}")).settings.pooler;
        assert_eq!(pooler, expected, "{keys}");
    }
}

#[test]
fn problems_of_backend_keys_do_not_show_the_password() {
    for (keys, expected) in [
        ("", "`url` is missing"),
        ("url = \"postgresql:///app\"", "the URL names no host"),
        (
            "url = \"postgresql://u:hush@h:port/app\"",
            "not the URL of a PostgreSQL server",
        ),
        (
            "url = \"postgresql://u:hush@h/app\"\nconnections = 9",
            "9 is out of range",
        ),
        (
            "url = \"postgresql://u:hush@h/app\"\nconnections = 2\nconnections_min = 3",
            "3 is out of range",
        ),
        (
            "url = \"postgresql://u:hush@h/app\"\npooler = \"session\"",
            "`session` is not known here",
        ),
    ] {
        let problems = config_problems::<Postgres>(keys);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }
}

#[test]
fn tls_is_spoken_when_it_is_asked_for() {
    for (mode, keys, expected) in [
        ("", "", SslMode::Disable),
        ("?sslmode=disable", "", SslMode::Disable),
        ("?sslmode=prefer", "", SslMode::Prefer),
        ("?sslmode=require", "", SslMode::Require),
        (
            "?connect_timeout=1&sslmode=verify-full",
            "",
            SslMode::Require,
        ),
        ("", "tls = {}", SslMode::Require),
        (
            "?sslmode=require",
            "tls = { verify = 'none' }",
            SslMode::Require,
        ),
    ] {
        let url = format!("url = 'postgresql://u:hush@a,b/app{mode}'\n{keys}");
        let settings = config_of(&url).settings;
        assert_eq!(settings.client.get_ssl_mode(), expected, "{url}");
        assert_eq!(
            settings.tls.is_some(),
            expected != SslMode::Disable,
            "{url}"
        );
    }
    for (url, keys, expected) in [
        ("h/app?sslmode=verify-ca", "", "use `verify-full`"),
        ("h/app?sslmode=hush", "", "`sslmode` has no such value"),
        ("h/app?sslrootcert=ca.pem", "", "add `tls = { ca ="),
        (
            "h/app?sslmode=prefer",
            "tls = {}",
            "nothing is sent without TLS",
        ),
        (
            "h/app?sslmode=disable",
            "tls = {}",
            "nothing is sent without TLS",
        ),
        (
            "h/app?sslmode=verify-full",
            "tls = { verify = 'none' }",
            "leave out one",
        ),
        (
            "%2Frun%2Fpg/app?sslmode=require",
            "",
            "no TLS over a Unix socket",
        ),
        (
            "/app?hostaddr=127.0.0.1",
            "tls = {}",
            "TLS needs a host's name",
        ),
        ("h/app", "tls = { ca = 'none.pem' }", "can't read"),
    ] {
        let keys = format!("url = 'postgresql://u:hush@{url}'\n{keys}");
        let problems = config_problems::<Postgres>(&keys);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }
}

#[test]
fn lookup_keys() {
    let config = good();
    let sql = "sql = \"select * from t where code = any(:codes)\"\n";
    let read = |keys: &str| lookup::<Postgres>(&config, &format!("{sql}{keys}"));
    let plain = read("").unwrap();
    assert_eq!(&*plain.lookup.sql, "select * from t where code = any($1)");
    assert!(!Postgres::batches(&plain.lookup));
    let batched = read("rows = \"one\"\nbatch = { key = \"code\" }").unwrap();
    assert!(Postgres::batches(&batched.lookup));
    assert_eq!(
        batched.lookup.batch.as_ref().map(|batch| batch.max),
        Some(128)
    );
    assert_ne!(plain.lookup.id, batched.lookup.id);
}

#[test]
fn bad_lookup_keys() {
    let config = good();
    let sql = "sql = \"select * from t where code = any(:codes)\"\n";
    for (keys, expected) in [
        (format!("{sql}batch = {{}}"), "`key` is missing"),
        (format!("{sql}batch = 5"), "expected a table"),
        (
            format!("{sql}batch = {{ key = \"code\", max = 0 }}"),
            "0 is out of range",
        ),
        (
            format!("{sql}batch = {{ key = \"code\", min = 1 }}"),
            "unknown key",
        ),
        (
            format!("{sql}rows = \"value\"\nbatch = {{ key = \"code\" }}"),
            "does not go with `batch`",
        ),
        (
            "sql = \"select 1\"\nbatch = { key = \"code\" }".into(),
            "has one parameter",
        ),
    ] {
        let problems = lookup_problems::<Postgres>(&config, &keys);
        assert!(problems[0].contains(expected), "{keys}: {problems:?}");
    }
}

#[test]
fn parameters_are_written_for_their_type() {
    let text = |value: Value, ty: &Type| encode::text(&value, ty).expect("fits");
    let is = |value: Value, ty: &Type, expected: &str| {
        assert_eq!(text(value, ty).as_deref(), Some(expected), "{ty}");
    };
    assert_eq!(text(Value::Null, &Type::INT4), None);
    is(Value::from("t{\"\\"), &Type::TEXT, "t{\"\\");
    is(Value::I64(-5), &Type::INT2, "-5");
    is(Value::from("+7"), &Type::INT4, "7");
    is(Value::Double(3.0), &Type::INT8, "3");
    is(Value::Double(1e300), &Type::FLOAT8, "1e300");
    is(Value::Bool(true), &Type::BOOL, "true");
    is(Value::from("12.50"), &Type::NUMERIC, "12.50");
    is(Value::from("\u{ff}"), &Type::BYTEA, "\\xc3bf");
    let uuid = "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f";
    is(Value::Uuid([0x1f; 16]), &Type::UUID, uuid);
    is(Value::from(uuid.to_uppercase()), &Type::UUID, uuid);
    is(Value::from(vec![1, 2]), &Type::JSONB, "[1,2]");
    is(Value::from(vec![1, 2]), &Type::INT4_ARRAY, r#"{"1","2"}"#);
    let items = Value::List(vec!["a\"b\\".into(), Value::Null, "".into(), "NULL".into()]);
    is(items, &Type::TEXT_ARRAY, r#"{"a\"b\\",NULL,"","NULL"}"#);
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    for (value, ty) in [
        (Value::I64(40_000), Type::INT2),
        (Value::I64(1 << 31), Type::INT4),
        (Value::I64(-1), Type::OID),
        (Value::Double(1.5), Type::INT8),
        (Value::Double(1e19), Type::INT8),
        (Value::from("x"), Type::INT8),
        (Value::I64(1 << 60), Type::FLOAT8),
        (Value::I64(2), Type::BOOL),
        (Value::from("1;2"), Type::NUMERIC),
        (Value::from("{"), Type::JSON),
        (Value::from("1f"), Type::UUID),
        (Value::from("a\0b"), Type::TEXT),
        (Value::Bytes(vec![0xff].into()), Type::TEXT),
        (Value::I64(1), Type::INT4_ARRAY),
        (Value::from(vec!["x"]), Type::INT4_ARRAY),
        (Value::List(vec![]), Type::TEXT),
    ] {
        let err = encode::text(&value, &ty).expect_err("refused");
        assert_eq!(err.code, Code::LookupBadParam, "{value:?} {ty}");
    }
}
