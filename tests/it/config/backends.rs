//! Mistakes in `[backends.*]`.

use super::after;

#[test]
fn an_unknown_kind() {
    insta::assert_snapshot!(after(
        r#"kind = "sqlite""#,
        r#"kind = "sqlite3""#,
    ), @r#"
    error[config.bad_value]: `backends.ops.kind`: `sqlite3` is not known here
     --> tributary.toml:5:8
      |
    5 | kind = "sqlite3"
      |        ^^^^^^^^^
      |
      = help: did you mean `"sqlite"`?
      = manual: tributary manual backends
    "#);
}

#[test]
fn no_kind() {
    insta::assert_snapshot!(after(
        r#"kind = "redis"
"#,
        "",
    ), @r#"
    error[config.missing_key]: `backends.cache`: `kind` is missing
     --> tributary.toml:8:1
      |
    8 | [backends.cache]
      | ^^^^^^^^^^^^^^^^
      |
      = help: add `kind = "..."`, one of `sqlite`, `file`, `http`, `redis`, `memcached`, `postgres`, `mysql`, `thrift`
      = manual: tributary manual backends
    "#);
}

#[test]
fn a_kind_that_is_not_text() {
    insta::assert_snapshot!(after(
        r#"kind = "redis""#,
        "kind = 7",
    ), @r"
    error[config.bad_value]: `backends.cache.kind`: expected a string, found an integer
     --> tributary.toml:9:8
      |
    9 | kind = 7
      |        ^
      |
      = help: one of `sqlite`, `file`, `http`, `redis`, `memcached`, `postgres`, `mysql`, `thrift`
      = manual: tributary manual backends
    ");
}

#[test]
fn a_missing_path() {
    insta::assert_snapshot!(after(
        r#"path = "ops.sqlite"
"#,
        "",
    ), @r#"
    error[config.missing_key]: `backends.ops`: `path` is missing
     --> tributary.toml:4:1
      |
    4 | [backends.ops]
      | ^^^^^^^^^^^^^^
      |
      = help: add `path = "data.db"`
      = manual: tributary manual sqlite
    "#);
}

#[test]
fn a_key_of_another_kind() {
    insta::assert_snapshot!(after(
        r#"path = "ops.sqlite""#,
        r#"path = "ops.sqlite"
url = "sqlite:ops""#,
    ), @r#"
    error[config.unknown_key]: `backends.ops.url`: unknown key
     --> tributary.toml:7:1
      |
    7 | url = "sqlite:ops"
      | ^^^
      |
      = help: known keys: `in_flight_max`, `waiting_max`, `wait_max`, `batch_max`, `kind`, `path`, `threads`, `busy_timeout`, `queue`, `value_bytes_max`
      = manual: tributary manual sqlite
    "#);
}

#[test]
fn a_table_file_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"path = "airlines.csv""#,
        r#"path = "airline.csv""#,
    ), @r#"
    error[config.file]: `backends.tables.path`: can't read `airline.csv`: No such file or directory (os error 2)
      --> tributary.toml:14:8
       |
    14 | path = "airline.csv"
       |        ^^^^^^^^^^^^^
       |
       = manual: tributary manual file
    "#);
}

#[test]
fn a_secret_whose_variable_is_not_set() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"url = "env:TRIBUTARY_TEST_UNSET""#,
    ), @r#"
    error[config.bad_value]: `backends.cache.url`: the environment variable `TRIBUTARY_TEST_UNSET` is not set
      --> tributary.toml:10:7
       |
    10 | url = "env:TRIBUTARY_TEST_UNSET"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: set `TRIBUTARY_TEST_UNSET` in the server's environment
       = manual: tributary manual redis
    "#);
}

#[test]
fn a_secret_whose_file_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"url = "file:secrets/redis""#,
    ), @r#"
    error[config.file]: `backends.cache.url`: can't read `secrets/redis`: No such file or directory (os error 2)
      --> tributary.toml:10:7
       |
    10 | url = "file:secrets/redis"
       |       ^^^^^^^^^^^^^^^^^^^^
       |
       = help: the path is relative to this file's folder
       = manual: tributary manual redis
    "#);
}

#[test]
fn a_url_of_another_scheme() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"url = "postgres://127.0.0.1/ops""#,
    ), @r#"
    error[config.bad_value]: `backends.cache.url`: not the URL of a Redis server: its scheme is not `redis`, `rediss` or `unix`
      --> tributary.toml:10:7
       |
    10 | url = "postgres://127.0.0.1/ops"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `redis://[user:password@]host[:port][/db]`, `rediss://..` for TLS, or `unix:///path/to/socket`
       = manual: tributary manual redis
    "#);
}

#[test]
fn one_server_and_a_cluster_together() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"url = "redis://127.0.0.1:6379/0"
urls = ["redis://127.0.0.1:7000"]"#,
    ), @r#"
    error[config.clash]: `backends.cache.urls`: `urls` can't be used with `url`
      --> tributary.toml:11:8
       |
    11 | urls = ["redis://127.0.0.1:7000"]
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: one server is `url`, a cluster is `urls`, and `sentinels` name a `master`: keep one of them
       = manual: tributary manual redis
    "#);
}

#[test]
fn nodes_of_a_cluster_that_are_reached_in_different_ways() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"urls = ["redis://127.0.0.1:7000", "rediss://127.0.0.1:7001"]"#,
    ), @r#"
    error[config.bad_value]: `backends.cache.urls`: the nodes of a cluster are reached in one way, and these URLs differ
      --> tributary.toml:10:8
       |
    10 | urls = ["redis://127.0.0.1:7000", "rediss://127.0.0.1:7001"]
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: give all of them the same scheme, user, password and parameters
       = manual: tributary manual redis
    "#);
}

#[test]
fn sentinels_without_a_master() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"sentinels = ["127.0.0.1:26379"]"#,
    ), @r#"
    error[config.missing_key]: `backends.cache`: `master` is missing
     --> tributary.toml:8:1
      |
    8 | [backends.cache]
      | ^^^^^^^^^^^^^^^^
      |
      = help: add `master = "mymaster"`
      = manual: tributary manual redis
    "#);
}

#[test]
fn a_master_without_sentinels() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"url = "redis://127.0.0.1:6379/0"
master = "mymaster""#,
    ), @r#"
    error[config.clash]: `backends.cache.master`: `master` is only valid with `sentinels`
      --> tributary.toml:11:10
       |
    11 | master = "mymaster"
       |          ^^^^^^^^^^
       |
       = help: leave it out, or name servers with `sentinels`
       = manual: tributary manual redis
    "#);
}

#[test]
fn tls_for_a_plain_text_url() {
    insta::assert_snapshot!(after(
        r#"url = "redis://127.0.0.1:6379/0""#,
        r#"url = "redis://127.0.0.1:6379/0"
tls = {}"#,
    ), @r#"
    error[config.clash]: `backends.cache.url`: `tls` has no effect on a server without TLS
      --> tributary.toml:10:7
       |
    10 | url = "redis://127.0.0.1:6379/0"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: with `tls` the URL begins with `rediss:`, or leave out `tls`
       = manual: tributary manual redis
    "#);
}

#[test]
fn an_invalid_http_url() {
    insta::assert_snapshot!(after(
        r#"url = "http://127.0.0.1:8080""#,
        r#"url = "weather.local""#,
    ), @r#"
    error[config.bad_value]: `backends.weather.url`: not a whole URL: it needs scheme and host
      --> tributary.toml:18:7
       |
    18 | url = "weather.local"
       |       ^^^^^^^^^^^^^^^
       |
       = help: as in `url = "http://127.0.0.1:8080/v1"`
       = manual: tributary manual http
    "#);
}

#[test]
fn tls_with_files_that_do_not_exist() {
    insta::assert_snapshot!(after(
        r#"url = "http://127.0.0.1:8080""#,
        r#"url = "https://weather.internal"
tls = { ca = "ca.pem", key = "client.key", verify = "ful" }"#,
    ), @r#"
    error[config.missing_key]: `backends.weather.tls`: `certificate` is missing
      --> tributary.toml:19:7
       |
    19 | tls = { ca = "ca.pem", key = "client.key", verify = "ful" }
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: add `certificate = "client.pem"`
       = manual: tributary manual backends

    error[config.file]: `backends.weather.tls.ca`: can't read `ca.pem`: No such file or directory (os error 2)
      --> tributary.toml:19:14
       |
    19 | tls = { ca = "ca.pem", key = "client.key", verify = "ful" }
       |              ^^^^^^^^
       |
       = help: the path is relative to this file's folder
       = manual: tributary manual backends

    error[config.file]: `backends.weather.tls.key`: can't read `client.key`: No such file or directory (os error 2)
      --> tributary.toml:19:30
       |
    19 | tls = { ca = "ca.pem", key = "client.key", verify = "ful" }
       |                              ^^^^^^^^^^^^
       |
       = help: the path is relative to this file's folder
       = manual: tributary manual backends

    error[config.bad_value]: `backends.weather.tls.verify`: `ful` is not known here
      --> tributary.toml:19:53
       |
    19 | tls = { ca = "ca.pem", key = "client.key", verify = "ful" }
       |                                                     ^^^^^
       |
       = help: did you mean `"full"`?
       = manual: tributary manual backends
    "#);
}

#[test]
fn limits_out_of_range() {
    insta::assert_snapshot!(after(
        r#"kind = "http""#,
        r#"kind = "http"
in_flight_max = 0
waiting_max = "many""#,
    ), @r#"
    error[config.bad_value]: `backends.weather.in_flight_max`: 0 is out of range
      --> tributary.toml:18:17
       |
    18 | in_flight_max = 0
       |                 ^
       |
       = help: 1 to 1000000
       = manual: tributary manual backends

    error[config.bad_value]: `backends.weather.waiting_max`: expected an integer (without quotes), found a string
      --> tributary.toml:19:15
       |
    19 | waiting_max = "many"
       |               ^^^^^^
       |
       = manual: tributary manual backends
    "#);
}

#[test]
fn a_malformed_url_is_shown_without_its_password() {
    insta::assert_snapshot!(after(
        "redis://127.0.0.1:6379/0",
        "redis//:hunter2@127.0.0.1:6379/0",
    ), @r#"
    error[config.bad_value]: `backends.cache.url`: not the URL of a Redis server: it has no scheme
      --> tributary.toml:10:7
       |
    10 | url = "redis//:*******@127.0.0.1:6379/0"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `redis://[user:password@]host[:port][/db]`, `rediss://..` for TLS, or `unix:///path/to/socket`
       = manual: tributary manual redis
    "#);
}

#[test]
fn a_wrong_name_of_a_header() {
    let problems = after(
        "url = \"http://127.0.0.1:8080\"",
        "url = \"http://127.0.0.1:8080\"\nheaders = { \"a b\" = \"value\" }",
    );
    let caret = "headers = { \"a b\" = \"*****\" }\n   |             ^^^^^\n";
    assert!(problems.contains(caret), "{problems}");
}

#[test]
fn a_breaker_that_can_never_open() {
    insta::assert_snapshot!(after(
        r#"kind = "redis""#,
        r#"kind = "redis"
breaker = { consecutive = 0, success_min = 0 }"#,
    ), @r"
    error[config.clash]: `backends.cache.breaker`: this breaker can never open
      --> tributary.toml:10:11
       |
    10 | breaker = { consecutive = 0, success_min = 0 }
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: raise `consecutive` or `success_min`, or leave `breaker` out
       = manual: tributary manual breaker
    ");
}

#[test]
fn a_breaker_around_a_file() {
    insta::assert_snapshot!(after(
        r#"path = "ops.sqlite""#,
        r#"path = "ops.sqlite"
breaker = {}"#,
    ), @r"
    error[config.clash]: `backends.ops.breaker`: this kind of store has no server that could fail
     --> tributary.toml:7:1
      |
    7 | breaker = {}
      | ^^^^^^^
      |
      = help: leave `breaker` out
      = manual: tributary manual breaker
    ");
}

#[test]
fn a_breaker_around_servers_with_different_keys() {
    insta::assert_snapshot!(after(
        r#"kind = "redis"
url = "redis://127.0.0.1:6379/0""#,
        r#"kind = "memcached"
breaker = {}
servers = ["127.0.0.1:1", "127.0.0.1:2"]"#,
    ), @r"
    error[config.clash]: `backends.cache.breaker`: with several servers that hold different keys, a breaker would keep lookups from those that work
      --> tributary.toml:10:1
       |
    10 | breaker = {}
       | ^^^^^^^
       |
       = help: leave `breaker` out
       = manual: tributary manual breaker
    ");
}
