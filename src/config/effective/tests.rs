//! Every value with its place, and no secrets, wherever they are.

use super::*;
use crate::config::{document, whole};

/// The configuration with this text, whose tables could have these keys.
fn effective(text: &str, tables: &[(&str, &[&'static str])]) -> Effective {
    let document = document(text);
    let keys = tables
        .iter()
        .map(|(path, keys)| ((*path).to_owned(), keys.to_vec()));
    document.keys.replace(keys.collect());
    Effective::new(document.source.clone(), document.keys.take())
}

#[test]
fn each_value_has_its_line_or_is_a_default() {
    let text = "[server]\nidl = 'a.thrift'\n\n[backends.ops]\nkind = 'redis'\nurl = 'redis://a'\n\n[lookups.x]\nbackend = 'ops'\nlrange = 'k'\nstop = 5\n";
    let shown = effective(
        text,
        &[
            ("server", &["idl", "workers", "service"]),
            (
                "backends.ops",
                &["kind", "url", "connections", "in_flight_max"],
            ),
            (
                "lookups.x",
                &["backend", "timeout", "lrange", "start", "stop"],
            ),
        ],
    );
    let text = shown.text();
    for line in [
        "server.idl = \"a.thrift\"  # test.toml:2",
        "server.workers = 1  # default",
        "server.service  # default: the IDL's only service",
        "server.limits.depth_max = 64  # default",
        "backends.ops.url = \"redis://a\"  # test.toml:6",
        "backends.ops.in_flight_max = 1024  # default",
        "lookups.x.timeout  # default: the call's deadline",
        "lookups.x.start = 0  # default",
        "lookups.x.stop = 5  # test.toml:11",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    let json = shown.json();
    let values = json["values"].as_array().expect("a list");
    assert_eq!(
        values.len(),
        text.lines().filter(|line| !line.is_empty()).count()
    );
    assert_eq!(
        values[0],
        json!({ "key": "server.idl", "value": "a.thrift", "from": "test.toml:2" })
    );
}

#[test]
fn a_default_is_shown_only_where_it_holds() {
    let keys: &[&'static str] = &["kind", "url", "endpoints", "balance", "refresh", "breaker"];
    let text = |backend: &str| {
        let text = format!("[backends.a]\nkind = 'http'\n{backend}\n");
        effective(&text, &[("backends.a", keys)]).text()
    };
    let one = text("url = 'http://a'");
    assert!(
        one.contains("backends.a.breaker  # default: none\n"),
        "{one}"
    );
    assert!(
        !one.contains("balance") && !one.contains("refresh"),
        "{one}"
    );
    let several = text("endpoints = ['http://a', 'http://b']");
    assert!(
        several.contains("backends.a.breaker = {}  # default\n"),
        "{several}"
    );
    assert!(
        several.contains("backends.a.balance = \"p2c\"  # default\n"),
        "{several}"
    );
}

#[test]
fn no_secret_is_shown_wherever_it_is() {
    let text = r#"
[server]
tokens = { batch = "s3cret" }
[admin]
token = "s3cret"
[backends.a]
url = "postgresql://reader:s3cret@db:5432/ops?sslpassword=s3cret&sslmode=require"
[backends.b]
url = "host=db user=reader password = 's3cret \' s3cret' dbname=ops"
[backends.c]
urls = ["redis://:s3cret@a:1/0", "redis://u:s3/cret@s3cret@b:2"]
[backends.d]
url = "https://s3cret@api.example/v1?api_key=s3cret"
headers = { authorization = "Bearer s3cret", x-other = "s3cret", accept = "text/plain" }
[backends.e]
password = "s3cret"
sentinel_password = "s3cret"
sentinels = ["rediss://u:s3cret@c:3"]
[backends.f]
url = "env:OPS_URL"
password = "file:secrets/ops"
endpoints = ["http://u:s3cret@h"]
[backends.g]
url = "mysql://reader@db/ops?ssl-mode=REQUIRED&password=s3cret"
[lookups.x]
get = "/v1/{id}?access_token=s3cret&page={page}&sig={sig}&jwt=s3cret&pasword=s3cret"
body = { api_key = "s3cret", deep = { list = [{ client_secret = "s3cret" }] }, pin_token = 7771, pin = "s3cret", userOtp = 7771, session = "s3cret", client_assertion = "s3cret" }
[lookups.y]
post = "/v1/{id}?q=a b&access_token=s3cret and more&sig={sig}"
body = '{"deep": [{"client_secret": "s3cret", "page": 7}], "pin": 7771}'
[lookups.z]
get = "/v1?key={id}s3cret"
body = '{"id": {id}, "api_key": "s3cret \" s3cret", "password" : s3cret, "page": {page}, "auth": {"a": "s3cret"}}'
[lookups.form]
body = "grant=x&client_secret=s3cret&page={page}"
[lookups.sql]
sql = "select 1 where a = ?"
[views.v.lookups.x]
with = { token = { value = "s3cret" } }
default = { session_id = "s3cret" }
"#;
    let shown = effective(text, &[]);
    for shown in [shown.text(), shown.json().to_string()] {
        for secret in ["s3cret", "s3/cret", "7771"] {
            assert!(!shown.contains(secret), "{secret}\n{shown}");
        }
        for plain in [
            "postgresql://reader:***@db:5432/ops?sslpassword=***&sslmode=require",
            "host=db user=reader password=*** dbname=ops",
            "https://***@api.example/v1?api_key=***",
            "text/plain",
            "env:OPS_URL",
            "file:secrets/ops",
            "mysql://reader@db/ops?ssl-mode=REQUIRED&password=***",
            "/v1/{id}?access_token=***&page={page}&sig={sig}&jwt=***&pasword=***",
            "views.v.lookups.x.with.token.value",
            "/v1/{id}?q=a b&access_token=***&sig={sig}",
            "/v1?key=***",
            "grant=x&client_secret=***&page={page}",
            "select 1 where a = ?",
        ] {
            assert!(shown.contains(plain), "{plain}\n{shown}");
        }
    }
}

#[test]
fn the_keys_of_a_table_are_those_that_its_reader_asks_for() {
    let document = document("[admin]\nlisten = '127.0.0.1:1'\n");
    let mut root = whole(&document);
    assert!(crate::config::read_admin(&mut root, &[]).is_some());
    let text = Effective::new(document.source.clone(), document.keys.take()).text();
    for line in [
        "admin.listen = \"127.0.0.1:1\"  # test.toml:2",
        "admin.calls_kept = 256  # default",
        "admin.purge  # default: only on a loopback address",
        "admin.try  # default: only on a loopback address",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}
